"""Structured logs: one JSON object a line, with the ids of the job at hand."""

import logging
import re
import sys
from typing import Any

import structlog

_NAMES = r"secret|password|passwd|api[_-]?key|token"
_SECRETS = re.compile(rf"(?i){_NAMES}|authorization|cookie|signature")
# What gives itself away in a text: the password of an address, the credential of an
# Authorization header, our own keys, and what is written behind a telling name.
_IN_TEXT = (
    (re.compile(r"(://[^\s/:@]*):[^\s/]*@"), r"\1:***@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"\b(fbk|whsec)_[\w+/=-]+"), r"\1_***"),
    (
        re.compile(
            rf"""(?ix) \b ([\w-]{{0,40}}(?:{_NAMES})[\w-]{{0,40}}
            ["']? \s*[=:]\s* ["']?) [^\s"'&,;]+"""
        ),
        r"\1***",
    ),
)


def _mask(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep credentials out of the log whatever a caller passes."""
    return {name: _masked(name, value) for name, value in event.items()}


def _masked(name: object, value: Any) -> Any:
    if isinstance(name, str) and _SECRETS.search(name):
        return "***"
    if isinstance(value, str):
        for pattern, instead in _IN_TEXT:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, dict):
        return {key: _masked(key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(None, inner) for inner in value]
    plain = value is None or isinstance(value, int | float)
    return value if plain else _masked(None, repr(value))


def configure(level: str) -> None:
    """Send all logs, the libraries' too, to standard error as JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Last, so that whatever came in by any way is looked at.
                _mask,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Celery tells of each received and succeeded task; our own lines say it better.
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)
