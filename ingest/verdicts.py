"""What an answer means, before anything of it is parsed: one of fourteen classes.

The status is not the truth: sources say "no data", "log in" and "slow down" under 200,
and send a client's mistakes under 500. Each connector looks for its source's own words
first and leaves the rest to ``general``.
"""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, get_args

import orjson

from ingest.exchange import Answer

Class = Literal[
    "ok",
    "empty",
    "unchanged",
    "not_available",
    "incomplete",
    "split_window",
    "rate_limited",
    "transient",
    "auth",
    "config",
    "schema_drift",
    "malformed",
    "metadata",
    "ignored",
]
CLASSES: tuple[Class, ...] = get_args(Class)

GOOD: frozenset[Class] = frozenset({"ok", "empty", "unchanged", "metadata", "ignored"})
"""Classes after which the answer has been dealt with."""

RETRIED: frozenset[Class] = frozenset({"transient", "incomplete"})
"""Classes after which the same request may do better in a moment."""

LASTING: frozenset[Class] = frozenset({"auth", "config", "schema_drift"})
"""Classes that no retry mends: a person has to look."""

MOST_JSON = 256 * 1024 * 1024
"""Bytes of JSON that are read at once: decoded they take several times as much."""

_TEXT = 300
_MARKUP = re.compile(rb"^\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """The class of an answer, with what its source said and how long to wait."""

    cls: Class
    detail: str = ""
    wait_s: float | None = None


OK = Verdict("ok")

_BY_STATUS: Mapping[int, Class] = {
    304: "unchanged",
    401: "auth",
    403: "auth",
    407: "auth",
    408: "transient",
    429: "rate_limited",
}


def general(answer: Answer) -> Verdict | None:
    """Return what status and transfer alone say, or None for a whole answer of 2xx.

    Example:
        >>> from datetime import UTC, datetime
        >>> general(Answer(429, {"retry-after": "3"}, datetime.now(UTC))).wait_s
        3.0
    """
    status = answer.status
    if status < 300:  # noqa: PLR2004 - these are HTTP's own numbers
        cut_off = Verdict("transient", "the answer was cut off")
        return None if answer.whole else cut_off
    cls = _BY_STATUS.get(status)
    if cls is None:
        cls = "transient" if status >= 500 else "config"  # noqa: PLR2004
    if cls == "unchanged":
        return Verdict(cls)
    if status < 400:  # noqa: PLR2004
        return Verdict(cls, f"redirected to {answer.headers.get('location')}")
    return Verdict(cls, told(answer), retry_after_s(answer))


def markup(answer: Answer) -> Verdict | None:
    """Return a verdict on HTML where data was asked for, else None."""
    with answer.open() as body:
        head = body.read(1_024)
    if _MARKUP.match(head):
        return Verdict("transient", f"a page came instead of data: {words(head)}")
    return None


def decoded(answer: Answer) -> Any:
    """Return the JSON of an answer, or the verdict on what is none, or too much.

    What is cut off is transient; NaN and Infinity, which JSON does not have, are read
    as floats, so that the rows that hold them can be refused one by one.
    """
    with answer.open() as stream:
        size = stream.seek(0, io.SEEK_END)
    if size > MOST_JSON:
        detail = f"{size} bytes of JSON are more than the {MOST_JSON} that are read at "
        detail += "once: ask for pages, a shorter window, or NDJSON"
        return Verdict("config", detail)
    body = answer.body
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    if (page := markup(answer)) is not None:
        return page
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        return Verdict("transient", f"the JSON is cut off or damaged: {error}")


def told(answer: Answer) -> str:
    """Return the first words of a body, without mark-up, for people."""
    with answer.open() as body:
        return words(body.read(4_096))


def words(head: bytes) -> str:
    """Return readable text of some bytes, shortened."""
    text = re.sub(r"<[^>]*>", " ", head.decode(errors="replace"))
    return " ".join(text.split())[:_TEXT]


def retry_after_s(answer: Answer) -> float | None:
    """Return the seconds of Retry-After, which may be a date; None if unreadable."""
    text = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - answer.fetched_at).total_seconds())


def drift(
    record: Mapping[str, Any] | list[str],
    *,
    required: frozenset[str],
    known: frozenset[str],
) -> tuple[tuple[str, ...], Verdict | None]:
    """Hold the names of a record against a contract.

    Args:
        record: a record of the answer, or the names of its columns.
        required: names without which nothing can be read.
        known: names that may be there beside.

    Returns:
        What changed, as ``+new`` and ``-gone``; and a verdict if a required name is
        gone.
    """
    names = set(record)
    missing = sorted(required - names)
    news = tuple(f"+{name}" for name in sorted(names - required - known))
    if not missing:
        return news, None
    there = ", ".join(sorted(names)[:50])
    detail = f"{', '.join(missing)} is missing; there is: {there}"
    return (*news, *(f"-{name}" for name in missing)), Verdict("schema_drift", detail)


def utc(text: str) -> datetime:
    """Return the instant of ISO 8601 text that is in UTC or says its offset.

    Raises:
        ValueError: it is not.
    """
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
