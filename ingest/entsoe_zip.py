"""Opens the ZIPs in which ENTSO-E sends many documents, with limits on their growth."""

import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO

from ingest.verdicts import Verdict

MOST_MEMBERS = 1_000
MOST_RATIO = 200
MOST_BYTES = 1 << 30
_SMALL = 4_096


class Refusal(Exception):
    """The answer as a whole cannot be used; the verdict says why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


class Member:
    """One file of a ZIP; damage found on the way is a refusal, not a crash."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes.

        Raises:
            Refusal: they do not unpack, or not to their checksum.
        """
        try:
            return self._file.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            detail = f"a file of the ZIP is cut off or damaged: {error}"
            raise Refusal(Verdict("transient", detail)) from error

    def seek(self, offset: int) -> int:
        """Go to a place."""
        return self._file.seek(offset)


def members(stream: BinaryIO) -> Iterator[Member]:
    """Open the files of a ZIP one after the other.

    Raises:
        Refusal: it is damaged, encrypted, or would grow beyond all measure.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            listed = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_size(listed)
            for entry in listed:
                with archive.open(entry) as file:
                    yield Member(file)
    except zipfile.BadZipFile as error:
        detail = f"the ZIP is cut off or damaged: {error}"
        raise Refusal(Verdict("transient", detail)) from error
    except (RuntimeError, NotImplementedError, EOFError, OSError) as error:
        detail = f"the ZIP cannot be unpacked: {error}"
        raise Refusal(Verdict("malformed", detail)) from error


def _check_size(listed: list[zipfile.ZipInfo]) -> None:
    packed = sum(entry.compress_size for entry in listed)
    unpacked = sum(entry.file_size for entry in listed)
    limit = min(MOST_BYTES, MOST_RATIO * max(packed, _SMALL))
    if len(listed) > MOST_MEMBERS or unpacked > limit:
        detail = f"the ZIP holds {len(listed)} files of {unpacked} bytes in {packed}"
        raise Refusal(Verdict("malformed", detail))
