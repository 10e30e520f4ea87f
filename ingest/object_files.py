"""Files of folders and buckets: which belong to a window, which are whole, which bad.

One bad file must not keep the others out: it is passed over, and a rejected row tells
of it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa

from ingest.batch import PUBLISHED, ROWS, Batch, Rejected
from ingest.contract import Page, Partition
from ingest.exchange import Answer, Request
from ingest.verdicts import Verdict, utc

_UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", "~")
_MARKERS = (".done", ".ok", ".ready", ".sha256", ".md5")
_DIRECTIVES = {
    "Y": r"\d{4}",
    "m": r"\d{2}",
    "d": r"\d{2}",
    "y": r"\d{2}",
    "j": r"\d{3}",
}
_GONE = (404, 410, 412)
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A file as a listing names it.

    Attributes:
        name: relative to the folder or bucket.
        size: in bytes, or None if not told.
        modified: in UTC, or None if not told.
        etag: what names this version of it, with its quotes, or nothing.
    """

    name: str
    size: int | None = None
    modified: datetime | None = None
    etag: str = ""

    @property
    def identity(self) -> str:
        """What changes when the file is sent again, whatever it then holds."""
        at = "" if self.modified is None else self.modified.isoformat()
        return "|".join((self.name, self.etag, str(self.size), at))


def listed_folder(answer: Answer) -> tuple[Entry, ...] | Verdict:
    """Return the files of a folder's listing, or the verdict on what is none."""
    try:
        files = orjson.loads(answer.body)["files"]
        return tuple(
            Entry(str(one["name"]), int(one["size"]), _instant(one["mtime"]))
            for one in files
        )
    except (ValueError, TypeError, KeyError, OverflowError, OSError) as error:
        return Verdict("malformed", f"no listing of files: {error!r}")


def _instant(found: object) -> datetime:
    if isinstance(found, int | float):
        return datetime.fromtimestamp(found, UTC)
    return utc(str(found))


@lru_cache
def _compiled(pattern: str) -> tuple[re.Pattern[str], str]:
    """Return a regular expression of names, and the form of the date in them."""
    expression, form = "", ""
    for token in re.findall(r"%.|\*|[^%*]+|%", pattern):
        directive = _DIRECTIVES.get(token[1:]) if token[0] == "%" else None
        if directive is not None:
            expression += f"({directive})"
            form += f"{token} "
        elif token == "*":  # noqa: S105 - no password
            expression += "[^/]*"
        else:
            expression += re.escape(token.replace("%%", "%"))
    return re.compile(expression), form.strip()


def checked_pattern(pattern: str) -> str:
    """Return a pattern of file names.

    Raises:
        ValueError: a part of a date that is not known, or that comes twice.
    """
    parts = re.findall(r"%[^%]?", pattern.replace("%%", ""))
    known = {f"%{name}" for name in _DIRECTIVES}
    if bad := [part for part in parts if part not in known]:
        message = f"{bad[0]} is no part of a date: write {', '.join(sorted(known))}"
        raise ValueError(message)
    if len(set(parts)) != len(parts):
        message = "a part of the date comes twice in the pattern"
        raise ValueError(message)
    return pattern


def day_of(name: str, pattern: str, zone: str) -> datetime | None:
    """Return the midnight that a file's name tells of, in UTC, or None if it has none.

    Example:
        >>> day_of("20260109_load.csv", "%Y%m%d_*.csv", "Europe/Berlin").isoformat()
        '2026-01-08T23:00:00+00:00'
    """
    expression, form = _compiled(pattern)
    found = expression.fullmatch(_matched(name, pattern))
    if found is None or not form:
        return None
    try:
        day = datetime.strptime(" ".join(found.groups()), form)  # noqa: DTZ007 - next line
    except ValueError:
        return None
    return day.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _matched(name: str, pattern: str) -> str:
    """A pattern without folders is of the last part of a name alone."""
    return name if "/" in pattern else name.rpartition("/")[2]


def belongs(entry: Entry, partition: Partition, *, pattern: str, zone: str) -> bool:
    """Return whether a file is of a window: by the date in its name, else by its age.

    A file that has neither is of every window.
    """
    expression, form = _compiled(pattern)
    if expression.fullmatch(_matched(entry.name, pattern)) is None:
        return False
    at = day_of(entry.name, pattern, zone) if form else entry.modified
    if at is None:
        return not form
    after = partition.start is None or at >= partition.start
    return after and (partition.end is None or at < partition.end)


def unfinished(name: str) -> bool:
    """Return whether a name says that its file is still being written.

    Example:
        >>> unfinished("load.csv.part"), unfinished("in/.load.csv"), unfinished("a.csv")
        (True, True, False)
    """
    last = name.rsplit("/", 1)[-1]
    return last.startswith(".") or last.lower().endswith(_UNFINISHED)


def is_marker(name: str) -> bool:
    """Return whether a file only says something of another file."""
    return name.lower().endswith(_MARKERS)


def is_safe(name: str) -> bool:
    """Return whether a name stays below its folder."""
    parts = name.split("/")
    return (
        bool(name)
        and "\\" not in name
        and "\0" not in name
        and not ({"", ".", ".."} & set(parts))
    )


def told_digest(answer: Answer) -> str | None:
    """Return the SHA-256 that a marker tells, or None."""
    found = re.match(rb"\s*\\?([0-9a-fA-F]{64})(?![0-9a-fA-F])", answer.body[:4_096])
    return found[1].decode().lower() if found else None


def digest(answer: Answer) -> str:
    """Return the SHA-256 of a body, in constant memory."""
    if answer.sha256:
        return answer.sha256
    found = hashlib.sha256()
    with answer.open() as stream:
        while piece := stream.read(_CHUNK):
            found.update(piece)
    return found.hexdigest()


def stale(request: Request, answer: Answer) -> Verdict | None:
    """Return the verdict on a file that is not the one that was listed, else None.

    The place of its request says what its listing said: ``size`` and ``etag``.
    """
    place, headers = request.place, answer.headers
    if answer.status in _GONE:
        return Verdict("transient", "the file changed or went since it was listed")
    if place.get("etag") and headers.get("etag", place["etag"]) != place["etag"]:
        return Verdict("transient", "the file was sent again since it was listed")
    size = headers.get("content-length")
    if answer.status < 300 and size and str(place.get("size", size)) != size:  # noqa: PLR2004
        return Verdict("transient", f"the file has {size} bytes, not {place['size']}")
    return None


def unvouched(request: Request, answer: Answer) -> Verdict | None:
    """Return the verdict on a whole file that is not the one of its checksum."""
    told = request.place.get("sha256")
    if told and digest(answer) != told:
        return Verdict("malformed", f"SHA-256 is {digest(answer)}, but {told} was told")
    return None


def passed_over(verdict: Verdict) -> Page:
    """Return the page of a bad file beside which others may be good."""
    bad = Rejected(1, "malformed_file", verdict.detail)
    none = pa.RecordBatch.from_pylist([], schema=ROWS)
    told = Verdict("ignored", f"malformed: {verdict.detail}")
    return Page(told, (Batch(none, (bad,)),))


@dataclass(frozen=True)
class Stamped:
    """Rows of a file, known since it was written; iterable as often as its rows."""

    rows: Iterable[Batch]
    published: datetime | None

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.rows:
            names = batch.rows.schema.names
            if self.published is None or PUBLISHED.name in names:
                yield batch
                continue
            at = pa.scalar(self.published, PUBLISHED.type)
            said = pa.repeat(at, batch.rows.num_rows)
            yield replace(batch, rows=batch.rows.append_column(PUBLISHED, said))


def published_at(request: Request, answer: Answer) -> datetime | None:
    """Return since when a file was there: never later than when it was read."""
    told = request.place.get("modified")
    return None if told is None else min(utc(str(told)), answer.fetched_at)


def edges_of(partition: Partition, zone: str) -> Iterator[datetime]:
    """Yield the local midnights of a window, in UTC."""
    if partition.start is None or partition.end is None:
        return
    place = ZoneInfo(zone)
    day = partition.start.astimezone(place).date()
    while True:
        at = datetime.combine(day, datetime.min.time(), place).astimezone(UTC)
        if at >= partition.end:
            return
        if at >= partition.start:
            yield at
        day = day.fromordinal(day.toordinal() + 1)
