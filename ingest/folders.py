"""Carries requests to folders of this machine that an operator has listed.

Below a listed folder no symbolic link is followed. Each level is opened from the level
above by its open handle, so a folder that is swapped for a link meanwhile leads nowhere
either.
"""

import errno
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from ingest.arrivals import Body, Content, Deadline, answered
from ingest.exchange import Answer, NotAllowed, Request
from ingest.files import File, Place, known_already, levels, listing, place, refusal
from ingest.redaction import Redactor
from ingest.wire import Outside

_PIECE = 262_144
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LISTED = {"content-type": "application/json"}


class FolderTransport:
    """Reads files, and lists folders as JSON: ``file:///folder/`` and ``/folder/file``.

    Args:
        outside: the outside world; of its judge and pace nothing is asked.
        roots: the folders that may be read, with all that is below.
    """

    def __init__(self, outside: Outside, *, roots: tuple[Path, ...]) -> None:
        self._outside = outside
        self._roots = roots
        self._redactor = Redactor(outside.secrets.values())

    def send(self, request: Request) -> Answer:
        """Return a file, or the list of a folder's files.

        Raises:
            NotAllowed: the address is not below a listed folder, or leads over a link.
            TooLarge: the file is larger than the limit.
        """
        root, rest = self._below(place(request.url))
        clock = self._outside.clock
        try:
            handle = _opened(root, rest)
        except (FileNotFoundError, NotADirectoryError):
            return refusal(404, "there is no such file", clock=clock)
        except PermissionError:
            return refusal(403, "the file may not be read", clock=clock)
        try:
            return self._read(request, handle)
        finally:
            os.close(handle)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _below(self, found: Place) -> tuple[Path, tuple[str, ...]]:
        for root in self._roots:
            above = root.absolute().parts[1:]
            if found.host in {"", "localhost"} and found.parts[: len(above)] == above:
                return root, found.parts[len(above) :]
        raise NotAllowed("the address is not below a folder that may be read")

    def _read(self, request: Request, handle: int) -> Answer:
        clock, state = self._outside.clock, os.fstat(handle)
        asks_folder = place(request.url).is_folder
        if stat.S_ISDIR(state.st_mode) and asks_folder:
            return self._list(request, handle)
        if stat.S_ISDIR(state.st_mode) or asks_folder:
            kind = "a file" if asks_folder else "a folder: its address ends with /"
            return refusal(404, f"this is {kind}", clock=clock)
        if not stat.S_ISREG(state.st_mode):
            raise NotAllowed("only regular files are read")
        file = _file("", state)
        if known_already(request, file):
            return Answer(304, file.headers, clock(), b"")
        with os.fdopen(os.dup(handle), "rb") as opened:
            deadline = Deadline(clock, self._outside.wire.total_s)
            return self._answered(dict(file.headers), _FileBody(opened, deadline))

    def _list(self, request: Request, handle: int) -> Answer:
        try:
            content = listing(_files(handle, "", levels(request)))
        except OSError:
            words = "a folder below could not be read"
            return refusal(403, words, clock=self._outside.clock)
        return self._answered(_LISTED, Content(content))

    def _answered(self, headers: dict[str, str], body: Body) -> Answer:
        return answered(
            (200, headers), body, outside=self._outside, redactor=self._redactor
        )


class _FileBody(Body):
    """A file that may be written to while it is read: then it is not whole."""

    def __init__(self, opened: BinaryIO, deadline: Deadline) -> None:
        self._before = os.fstat(opened.fileno())
        super().__init__(self._before.st_size)
        self._opened = opened
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        # No further than its end was: a file may grow faster than it is read.
        left = self._before.st_size
        while left and (chunk := self._opened.read(min(_PIECE, left))):
            left -= len(chunk)
            yield chunk
            self._deadline.left_s()
        after = os.fstat(self._opened.fileno())
        self.whole = (
            not left
            and after.st_size == self._before.st_size
            and after.st_mtime_ns == self._before.st_mtime_ns
        )


def _opened(root: Path, parts: tuple[str, ...]) -> int:
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parts:
        try:
            below = _step(handle, part)
        finally:
            os.close(handle)
        handle = below
    return handle


def _step(handle: int, part: str) -> int:
    try:
        return os.open(part, _FLAGS, dir_fd=handle)
    except OSError as error:
        if error.errno == errno.ELOOP or _is_link(handle, part):
            raise NotAllowed("a symbolic link is not followed") from error
        if error.errno in {errno.ENXIO, errno.ENAMETOOLONG}:
            raise NotAllowed("only regular files are read") from error
        raise


def _is_link(handle: int, part: str) -> bool:
    try:
        state = os.stat(part, dir_fd=handle, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISLNK(state.st_mode)


def _files(handle: int, above: str, depth: int) -> Iterator[File]:
    with os.scandir(handle) as entries:
        for entry in entries:
            name = f"{above}{entry.name}"
            if entry.is_file(follow_symlinks=False):
                yield _file(name, entry.stat(follow_symlinks=False))
            elif depth > 1 and entry.is_dir(follow_symlinks=False):
                below = os.open(entry.name, _FLAGS | os.O_DIRECTORY, dir_fd=handle)
                try:
                    yield from _files(below, f"{name}/", depth - 1)
                finally:
                    os.close(below)


def _file(name: str, state: os.stat_result) -> File:
    return File(name, state.st_size, datetime.fromtimestamp(state.st_mtime, UTC))
