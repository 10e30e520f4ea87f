"""Bytes of a text file: unpacked, checked to be UTF-8, and able to be looked ahead."""

import codecs
import gzip
import io
import zlib
from typing import BinaryIO

from ingest.errors import InvalidFile

_GZIP = b"\x1f\x8b"
_FOREIGN = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\xff\xff\xff\xff": "an Arrow stream",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_CHUNK = 1 << 16


class TextBytes(io.RawIOBase):
    """A reader of UTF-8 bytes, without their byte order mark; gzip is unpacked.

    Arrow calls ``read``; an error raised there comes out of Arrow as it is.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Look at the first bytes.

        Raises:
            InvalidFile: the file is empty or of another kind.
        """
        super().__init__()
        head = stream.read(_CHUNK)
        source = _Chained(head, stream)
        packed = head.startswith(_GZIP)
        self._source = gzip.GzipFile(fileobj=source) if packed else source
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._offset = 0
        self._line = 1
        self._ahead = b""
        self._refuse_foreign(self.look(len(codecs.BOM_UTF8) + 8))
        self._ahead = self._ahead.removeprefix(codecs.BOM_UTF8)
        if not self._ahead:
            message = "the file is empty"
            raise InvalidFile(message)

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` checked bytes; fewer only at the end."""
        pieces, wanted = [self._ahead], size - len(self._ahead)
        while size < 0 or wanted > 0:
            piece = self._checked(_CHUNK if size < 0 else wanted)
            if not piece:
                break
            pieces.append(piece)
            wanted -= len(piece)
        found = b"".join(pieces)
        cut = len(found) if size < 0 else size
        self._ahead = found[cut:]
        return found[:cut]

    def look(self, size: int) -> bytes:
        """Return the next bytes, at least ``size`` unless the file ends before."""
        self._ahead = self.read(max(size, len(self._ahead)))
        return self._ahead

    def _refuse_foreign(self, head: bytes) -> None:
        for magic, kind in _FOREIGN.items():
            if head.startswith(magic):
                message = f"the file is {kind}, not UTF-8 text"
                raise InvalidFile(message)

    def _checked(self, size: int) -> bytes:
        data = self._unpacked(size)
        waiting = self._decoder.getstate()[0]
        try:
            self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            self._refuse_foreign((waiting + data)[:8] if not self._offset else b"")
            good = (waiting + data)[: error.start]
            line = self._line + good.count(b"\n")
            byte = self._offset - len(waiting) + error.start
            message = f"the file is not UTF-8 text: line {line}, byte {byte}"
            raise InvalidFile(message) from error
        self._offset += len(data)
        self._line += data.count(b"\n")
        return data

    def _unpacked(self, size: int) -> bytes:
        try:
            return self._source.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            message = (
                f"the gzip file is damaged or cut off after {self._offset} bytes "
                f"of content: {error}"
            )
            raise InvalidFile(message) from error


class _Chained(io.RawIOBase):
    """The bytes that were read already, then the rest."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._head = io.BytesIO(head)
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        return self._head.read(size) or self._rest.read(size)
