"""Files and folders as answers of a transport: the same for a disk and for SFTP."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import unquote

from ingest.exchange import Answer, NotAllowed, Request
from ingest.wire import Clock

MOST_FILES = 100_000
_MOST_LEVELS = 8


@dataclass(frozen=True)
class File:
    """A regular file; its name is relative to the folder that was listed."""

    name: str
    size: int
    modified: datetime

    @property
    def etag(self) -> str:
        """What changes when the file does."""
        return f'"{self.size:x}-{int(self.modified.timestamp() * 1_000_000):x}"'

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, as a server of HTTP would send them."""
        return {
            "content-type": "application/octet-stream",
            "content-length": str(self.size),
            "last-modified": format_datetime(self.modified, usegmt=True),
            "etag": self.etag,
        }


@dataclass(frozen=True)
class Place:
    """What an address of a file or of a folder leads to."""

    host: str
    parts: tuple[str, ...]
    is_folder: bool


def place(url: str) -> Place:
    """Take the address of a file or a folder apart.

    Raises:
        NotAllowed: it climbs out of folders, or has parts that no name has.

    Example:
        >>> place("file:///drop/a%20b/").parts
        ('drop', 'a b')
    """
    host, _, path = url.partition("://")[2].partition("/")
    parts = tuple(part for part in unquote(path).split("/") if part)
    if any(part in {".", ".."} or "\0" in part for part in parts):
        raise NotAllowed("an address of a file has no . and no .. in it")
    return Place(host, parts, is_folder=path.endswith("/") or not path)


def levels(request: Request) -> int:
    """Return how many levels of folders a listing goes down; one if nothing is asked.

    Raises:
        NotAllowed: it is no number from 1 to 8.
    """
    text = dict(request.params).get("depth", "1")
    if text not in map(str, range(1, _MOST_LEVELS + 1)):
        raise NotAllowed(f"depth is a number from 1 to {_MOST_LEVELS}")
    return int(text)


def listing(files: Iterable[File]) -> bytes:
    """Return the JSON of a folder's files, in the order of their names.

    Raises:
        NotAllowed: there are too many.
    """
    found: list[dict[str, str | int]] = []
    for one in files:
        if len(found) >= MOST_FILES:
            raise NotAllowed(f"a folder with more than {MOST_FILES} files is not read")
        found.append(
            {
                "name": one.name,
                "size": one.size,
                "mtime": one.modified.astimezone(UTC).isoformat(),
            }
        )
    found.sort(key=lambda one: str(one["name"]))
    return json.dumps({"files": found}).encode()


def known_already(request: Request, file: File) -> bool:
    """Return whether who asks has this state of the file already."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    tags = [tag.strip() for tag in headers.get("if-none-match", "").split(",")]
    return file.etag in tags


def refusal(status: int, words: str, *, clock: Clock) -> Answer:
    """Return an answer without a file, in the words of HTTP."""
    content = words.encode()
    return Answer(status, {"content-type": "text/plain"}, clock(), content)
