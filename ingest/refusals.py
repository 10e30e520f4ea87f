"""Errors that come where data should be, as objects of JSON and whatever the status."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from ingest.exchange import Answer
from ingest.sayings import said
from ingest.verdicts import Verdict, of_status, retry_after_s, words

_ERRORS = ("error", "errors", "fault", "exception", "Error", "Message")
_TEXTS = (
    *("error_message", "errorMessage", "developerMessage", "userMessage"),
    *("message", "detail", "details", "reason", "description", "title"),
)
_CODES = ("code", "status", "statusCode", "status_code", "error_code", "errorCode")
_SURE = (*_ERRORS, *_TEXTS[:4], *_CODES[-2:])
_FAILED = ("error", "fail", "failed", "failure")
_NOTHING = re.compile(
    r"\bno\b.*\b(data|rows?|records?|results?|match)|not found", re.IGNORECASE
)
_FINE = re.compile(r"0+|2\d\d|ok|success\w*|none|null|false|no errors?", re.IGNORECASE)
"""What some sources write into the fields of an error where there is none."""

_MOST = 65_536  # bytes; an error is much shorter
_LONGEST = 300


def refused(document: Any) -> Verdict | None:
    """Return what an object tells that came instead of data; None if no error.

    Words that ask for patience or a key count for more than a code, and a code for more
    than other words. An error of which nothing more is known counts as another shape.

    Args:
        document: decoded JSON in which no data was found.

    Example:
        >>> refused({"error": {"code": 503, "message": "later"}})
        Verdict(cls='transient', detail='503: later', wait_s=None)
        >>> refused({"title": "Prices", "rows": []}) is None
        True
    """
    if not isinstance(document, Mapping) or not _is_error(document):
        return None
    told = ": ".join(dict.fromkeys(_texts(document, 0)))[:_LONGEST]
    meant = said(told)
    if meant in (None, "transient"):
        codes = (of_status(code) for code in _codes(document))
        return Verdict(next(filter(None, codes), meant or "schema_drift"), told)
    return Verdict(meant, told)


def refusal(answer: Answer) -> Verdict | None:
    """Return what a short body tells that is an error, in JSON or words; else None.

    For sources that answer in something else than JSON, and not in sentences.
    """
    with answer.open() as stream:
        head = stream.read(_MOST + 1)
    if len(head) > _MOST:
        return None
    try:
        found = refused(orjson.loads(head))
    except orjson.JSONDecodeError:
        text = words(head)
        meant = said(text) if _is_notice(head.strip()) else None
        found = None if meant is None else Verdict(meant, text)
    return None if found is None else replace(found, wait_s=retry_after_s(answer))


def _is_notice(head: bytes) -> bool:
    """Return whether a body is a line or mark-up, and short: no table of any length."""
    return len(head) <= _LONGEST and (head.startswith(b"<") or b"\n" not in head)


def _is_error(document: Mapping[str, Any]) -> bool:
    """Return whether an object is an error: it says so, or has only a message."""
    if any(_is_wrong(document.get(name)) for name in _SURE) or any(_codes(document)):
        return True
    if str(document.get("status")).lower() in _FAILED:
        return True
    nested = any(isinstance(cell, dict | list) for cell in document.values())
    told = next((document[n] for n in ("message", "reason") if document.get(n)), "")
    return not nested and _is_wrong(told) and not _NOTHING.search(str(told))


def _is_wrong(cell: Any) -> bool:
    """Return whether a field of an error tells of one, rather than of none."""
    texts = list(_texts(cell, 0))
    return bool(cell) and not (texts and all(map(_FINE.fullmatch, texts)))


def _texts(found: Any, depth: int) -> Iterator[str]:
    if isinstance(found, str | int) and not isinstance(found, bool):
        if str(found).strip():
            yield str(found).strip()
    elif isinstance(found, list) and found:
        yield from _texts(_first(found), depth)
    elif isinstance(found, Mapping) and depth < 3:  # noqa: PLR2004 - errors are flat
        for name in (*_CODES, *_ERRORS, *_TEXTS):
            if name in found:
                yield from _texts(found[name], depth + 1)


def _first(found: Any) -> Any:
    return found[0] if isinstance(found, list) and found else found


def _codes(document: Mapping[str, Any]) -> Iterator[int]:
    """Yield the numbers that look like a status of HTTP."""
    told = (document, *(_first(document.get(name)) for name in _ERRORS))
    for one in (each for each in told if isinstance(each, Mapping)):
        for name in _CODES:
            text = str(one.get(name))
            if text.isdecimal() and 400 <= int(text) < 600:  # noqa: PLR2004
                yield int(text)
