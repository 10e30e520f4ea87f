"""The directory of one private server, swept by a later run if its owner was killed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "forebay-test-"


class ServerDirectory:
    """A temporary directory with an owner.

    The owner holds a file lock beside the directory's content. A run that was
    killed cannot remove its directories, but the kernel drops its locks, so the
    next run knows which directories nobody owns; process ids would lie across
    containers that share a temporary folder.
    """

    def __init__(self, name: str, *, owner: str | None = None) -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-"))
        self._lock: int | None = _take_lock(self.path)
        if owner:
            shutil.chown(self.path, user=owner, group=owner)

    def remove(self) -> None:
        """Delete everything and let go of the lock; harmless when repeated."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def sweep() -> None:
    """Delete the directories whose owner is gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # Another user's directory, or one that just vanished, is not ours to sweep.
        with contextlib.suppress(OSError):
            lock = os.open(path / "owner.lock", os.O_RDWR)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _take_lock(path: Path) -> int:
    lock = os.open(path / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
