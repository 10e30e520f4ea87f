"""Lays a body down while it comes in: in memory, or in a file once it is large."""

import hashlib
import io
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ingest.exchange import NotAllowed


class TooLarge(NotAllowed):
    """A body is larger than may be stored; asking again would not make it smaller."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(most_bytes)
        self.most_bytes = most_bytes

    def __str__(self) -> str:
        return f"the answer is larger than {self.most_bytes} bytes"


@dataclass(frozen=True)
class Kept:
    """A body, in memory or in a file, with its size and its SHA-256."""

    size: int
    content: bytes | None
    path: Path | None
    sha256: str


def keep(
    chunks: Iterable[bytes], *, folder: Path, in_memory: int, most_bytes: int
) -> Kept:
    """Lay a body down; of one that fails on its way no file is left.

    Args:
        chunks: the body.
        folder: where the file lies, if there is one.
        in_memory: bytes up to which there is none.
        most_bytes: how large a body may be.

    Raises:
        TooLarge: the body is larger.
    """
    body = _Body(folder, in_memory, most_bytes)
    try:
        for chunk in chunks:
            body.add(chunk)
    except BaseException:
        body.drop()
        raise
    return body.kept()


class _Body:
    def __init__(self, folder: Path, in_memory: int, most_bytes: int) -> None:
        self.size = 0
        self._most_bytes = most_bytes
        self._folder = folder
        self._in_memory = in_memory
        self._digest = hashlib.sha256()
        self._memory = io.BytesIO()
        self._file: IO[bytes] | None = None

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self._most_bytes:
            raise TooLarge(self._most_bytes)
        self._digest.update(chunk)
        if self._file is None and self.size > self._in_memory:
            self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed when all is in
                dir=self._folder, prefix="answer-", delete=False
            )
            self._file.write(self._memory.getbuffer())
            self._memory = io.BytesIO()
        (self._file or self._memory).write(chunk)

    def kept(self) -> Kept:
        sha256 = self._digest.hexdigest()
        if self._file is None:
            return Kept(self.size, self._memory.getvalue(), None, sha256)
        self._file.close()
        return Kept(self.size, None, Path(self._file.name), sha256)

    def drop(self) -> None:
        if self._file is not None:
            self._file.close()
            Path(self._file.name).unlink()
