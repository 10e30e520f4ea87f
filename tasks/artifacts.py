"""Where the bytes of trained versions lie: each under its SHA-256, so none changes.

An artifact is stored before the row that names it. What no row names does no harm;
``tasks.registry.audit`` finds it.
"""

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from tasks.errors import SourceUnavailable

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_RETRY_AFTER_S = 60.0
DIGEST = re.compile(r"[0-9a-f]{64}")


class ArtifactAbsent(Exception):
    """The store holds no artifact of this hash."""


class ArtifactDamaged(Exception):
    """The bytes in the store no longer have the hash they are kept under."""


class ArtifactStore(Protocol):
    """Keeps bytes of one tenant under their hash."""

    name: str
    """What a version's row says of where its artifact is; never a secret."""

    def put(self, content: bytes) -> str:
        """Keep the bytes whole or not at all; return their SHA-256.

        Raises:
            SourceUnavailable: the store has no room, or does not answer.
        """
        ...

    def get(self, sha256: str) -> bytes:
        """Return the bytes, after a look at their hash.

        Raises:
            ArtifactAbsent: there are none.
            ArtifactDamaged: they are not what was put.
            SourceUnavailable: the store does not answer.
        """
        ...

    def holds(self, sha256: str) -> bool:
        """Return whether there are bytes of this hash, without reading them."""
        ...

    def digests(self) -> Iterator[str]:
        """Give the hash of everything that is kept, in any order."""
        ...


class FileStore:
    """Keeps artifacts as files, for machines that share a folder."""

    name = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        """See ArtifactStore.put."""
        sha256 = digest(content)
        path = self._path(sha256)
        # Read, not only looked for: what was damaged is mended by training again.
        if _read(path) == content:
            return sha256
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            message = f"there is no room for an artifact of {len(content)} bytes"
            raise SourceUnavailable(message, _RETRY_AFTER_S) from error
        return sha256

    def take(self, path: Path, *, sha256: str) -> None:
        """Move a file into the store; its bytes have this hash.

        Raises:
            SourceUnavailable: the store has no room.
        """
        kept = self._path(sha256)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            path.replace(kept)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise SourceUnavailable("there is no room", _RETRY_AFTER_S) from error

    def path(self, sha256: str) -> Path:
        """Return where the bytes of a hash lie, if they do."""
        return self._path(sha256)

    def get(self, sha256: str) -> bytes:
        """See ArtifactStore.get."""
        content = _read(self._path(sha256))
        if content is None:
            raise ArtifactAbsent(f"no artifact {sha256} in the artifacts folder")
        return checked(content, sha256)

    def holds(self, sha256: str) -> bool:
        """See ArtifactStore.holds."""
        return self._path(sha256).is_file()

    def digests(self) -> Iterator[str]:
        """See ArtifactStore.digests."""
        for path in self._folder.glob("*/*"):
            if DIGEST.fullmatch(path.name):
                yield path.name

    def _path(self, sha256: str) -> Path:
        return self._folder / address(sha256)


def digest(content: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def address(sha256: str) -> str:
    """Return the path of an artifact within its store; a hash cannot lead out of it."""
    if not DIGEST.fullmatch(sha256):
        raise ArtifactAbsent("an artifact is named by 64 hexadecimal digits")
    return f"{sha256[:2]}/{sha256}"


def checked(content: bytes, sha256: str) -> bytes:
    """Return the bytes if they have the hash.

    Raises:
        ArtifactDamaged: they have another.
    """
    if digest(content) != sha256:
        message = f"the {len(content)} bytes kept as {sha256} have another hash"
        raise ArtifactDamaged(message)
    return content


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, content: bytes) -> None:
    """Let the file appear whole or not at all, also if the power goes."""
    partial = path.with_name(f".{uuid4().hex}.part")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    with contextlib.ExitStack() as closing:
        closing.callback(os.close, folder)
        os.fsync(folder)
