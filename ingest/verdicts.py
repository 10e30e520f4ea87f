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

from ingest.charsets import charset_of_json, whole_letters
from ingest.exchange import Answer
from ingest.packed import MOST_UNPACKED, unpacked
from ingest.sayings import said

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

MOST_JSON = MOST_UNPACKED
"""Bytes of JSON that are read at once: decoded they take several times as much."""

_VAGUE: Mapping[int, tuple[Class, ...]] = {
    400: ("rate_limited", "auth"),
    403: ("rate_limited",),
}
"""Statuses that stand for many things, and what their words may say instead."""

_TEXT = 300
_HEAD = 65_536
_MARKUP = re.compile(
    rb"^(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*"
    rb"<(!doctype\s+html|html|head|body|title|meta|center|h[1-6])(?![\w.:-])",
    re.IGNORECASE | re.DOTALL,
)
# Pages have a title and a heading of the same words.
_TWICE = re.compile(r"(?<!\S)(\S.{6,98}\S)(?: \1)+(?!\S)")
_PASSWORD = re.compile(rb"<input[^>]*\btype\s*=\s*[\"']?password\b", re.IGNORECASE)
_JSON = re.compile(rb"^(\xef\xbb\xbf)?\s*([\[{\"\d-]|$|[tfnNI]\w*\s*$)")


@dataclass(frozen=True)
class Verdict:
    """The class of an answer, with what its source said and how long to wait."""

    cls: Class
    detail: str = ""
    wait_s: float | None = None


OK = Verdict("ok")

_BESIDE_DATA: Mapping[int, Verdict] = {
    202: Verdict("not_available", "the source is still at work on it"),
    204: Verdict("empty", "no content"),
    206: Verdict("transient", "only a part of it came"),
}
"""Good statuses whose body is no data, or not all of it."""

_BY_STATUS: Mapping[int, Class] = {
    304: "unchanged",
    401: "auth",
    403: "auth",
    407: "auth",
    408: "transient",
    423: "transient",
    425: "transient",
    429: "rate_limited",
}


def general(answer: Answer) -> Verdict | None:
    """Return what status and transfer alone say, or None for a whole answer of 2xx.

    Some of 2xx hold no data, or not all: 204 has no content, which is all that there is
    to read. A refusal of 400 or 403 may say that a key is missing, or a limit reached.

    Example:
        >>> from datetime import UTC, datetime
        >>> general(Answer(429, {"retry-after": "3"}, datetime.now(UTC))).wait_s
        3.0
    """
    status = answer.status
    if status < 300:  # noqa: PLR2004 - these are HTTP's own numbers
        if not answer.whole or _is_short(answer):
            return Verdict("transient", "the answer was cut off")
        return _BESIDE_DATA.get(status)
    cls = _in_words(answer) or of_status(status) or "config"
    if cls == "unchanged":
        return Verdict(cls)
    if status < 400:  # noqa: PLR2004
        return Verdict(cls, f"redirected to {answer.headers.get('location')}")
    return Verdict(cls, told(answer), retry_after_s(answer))


def _in_words(answer: Answer) -> Class | None:
    """Return what the words of a refusal mean whose status means many things."""
    if answer.status not in _VAGUE:
        return None
    meant = said(told(answer))
    return meant if meant in _VAGUE[answer.status] else None


def _is_short(answer: Answer) -> bool:
    """Return whether a body has fewer bytes than were declared of it."""
    length = answer.headers.get("content-length", "")
    coded = "content-encoding" in answer.headers
    if coded or not length.isdecimal() or answer.status == 204:  # noqa: PLR2004
        return False
    with answer.open() as stream:
        return stream.seek(0, io.SEEK_END) < int(length)


def of_status(status: int) -> Class | None:
    """Return what a status means by itself; None for good ones and for redirects.

    Example:
        >>> of_status(401), of_status(418), of_status(521), of_status(200)
        ('auth', 'config', 'transient', None)
    """
    if status < 400:  # noqa: PLR2004
        return _BY_STATUS.get(status)
    return _BY_STATUS.get(status, "transient" if status >= 500 else "config")  # noqa: PLR2004


def markup(answer: Answer) -> Verdict | None:
    """Return a verdict on HTML where data was asked for, else None.

    A page that asks for a password will not give way to data by itself.
    """
    with answer.open() as body:
        head = body.read(_HEAD)
    if not _MARKUP.match(head):
        return None
    text = words(head[:4_096])
    if _PASSWORD.search(head):
        return Verdict("auth", f"a page to log in came instead of data: {text}")
    cls: Class = "rate_limited" if said(text) == "rate_limited" else "transient"
    return Verdict(cls, f"a page came instead of data: {text}", retry_after_s(answer))


def decoded(answer: Answer) -> Any:
    """Return the JSON of an answer, or the verdict on what is none, or too much.

    What is cut off is transient, and so are words of which none says more; NaN and
    Infinity, which JSON does not have, are read as floats, so that the rows that hold
    them can be refused one by one.
    """
    answer = unpacked(answer)
    if not answer.whole:
        return Verdict("transient", "the answer was cut off")
    with answer.open() as stream:
        size = stream.seek(0, io.SEEK_END)
    if size > MOST_JSON:
        detail = f"{size} bytes of JSON are more than the {MOST_JSON} that are read at "
        detail += "once: ask for pages, a shorter window, or NDJSON"
        return Verdict("config", detail)
    name = charset_of_json(answer)
    try:
        # Of another charset it is read below; orjson takes all bytes for UTF-8.
        return orjson.loads(answer.body if name is None else b"")
    except orjson.JSONDecodeError:
        return _leniently(answer, name)


def _leniently(answer: Answer, name: str | None) -> Any:
    if (page := markup(answer)) is not None:
        return page
    body = answer.body
    try:
        return whole_letters(json.loads(body if name is None else body.decode(name)))
    except UnicodeDecodeError as error:
        cut_off = error.end >= len(body)
        detail = f"the JSON is not {error.encoding} text: {error}"
        return Verdict("transient" if cut_off else "malformed", detail)
    except (ValueError, RecursionError) as error:
        if not _is_text(body):
            detail = f"the JSON is cut off or damaged: {error}"
            return Verdict("transient", detail)
    text = words(body[:4_096])
    return Verdict(said(text) or "transient", f"text came instead of data: {text}")


def _is_text(body: bytes) -> bool:
    """Return whether a body is words that do not begin as JSON does."""
    return not _JSON.match(body[:_HEAD]) and body[:4_096].isascii()


def told(answer: Answer) -> str:
    """Return the first words of a body, without mark-up, for people."""
    with answer.open() as body:
        return words(body.read(4_096))


def words(head: bytes) -> str:
    """Return readable text of some bytes, shortened."""
    text = re.sub(r"<[^>]*>", " ", head.decode("utf-8-sig", errors="replace"))
    return _TWICE.sub(r"\1", " ".join(text.split()))[:_TEXT]


def retry_after_s(answer: Answer) -> float | None:
    """Return the seconds of Retry-After, which may be a date; None if unreadable."""
    text = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
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
