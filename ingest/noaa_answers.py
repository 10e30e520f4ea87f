"""What the answers of NOAA's archive services mean, whatever their status says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ingest.exchange import Answer
from ingest.sayings import said as meant
from ingest.verdicts import Verdict, decoded, general, markup

MISSING = ("NA", "-9999", "-9999.0", "-9999.00", "-999.9")
"""What the archive's files write for no value, also where it became tenths."""

_DAY_S = 86_400.0
_BAD_REQUEST = 400
_STATUS = ("status", "statusCode", "errorCode")
_TEXT = ("developerMessage", "userMessage", "message", "errorMessage")


def document_of(answer: Answer) -> Any:
    """Return the JSON of an answer, or a verdict where it is an error.

    The services name the status in the body, too, and there it counts.

    Example:
        >>> from datetime import UTC, datetime
        >>> body = b'{"status": "429", "message": "limit of 10000 per day"}'
        >>> document_of(Answer(200, {}, datetime.now(UTC), body))
        Verdict(cls='rate_limited', detail='limit of 10000 per day', wait_s=86400.0)
    """
    told = general(answer)
    if told is not None and told.cls in {"transient", "unchanged"}:
        return told
    if (page := markup(answer)) is not None:
        return told or page
    document = decoded(answer)
    if isinstance(document, Mapping):
        told = _error(answer, document) or told
    return document if told is None else told


def _error(answer: Answer, document: Mapping[str, Any]) -> Verdict | None:
    status = next((document[name] for name in _STATUS if name in document), None)
    if status is None:
        return None
    detail = next((str(document[name]) for name in _TEXT if document.get(name)), "")
    number = int(status) if str(status).isdecimal() else _BAD_REQUEST
    said = general(replace(answer, status=max(number, _BAD_REQUEST)))
    if said is None:
        return None
    cls, wait_s = said.cls, said.wait_s
    if cls == "config":
        cls = meant(detail) or cls
    if cls == "rate_limited" and wait_s is None:
        wait_s = _DAY_S if "per day" in detail else 1.0
    return Verdict(cls, detail or said.detail, wait_s)
