"""The body of an answer of HTTP, unpacked while it comes, judged by its wire bytes."""

import zlib
from collections.abc import Iterator
from itertools import chain

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from ingest.arrivals import Body, Deadline

_PIECE = 65_536
_MOST_UNPACKED = 1_048_576  # at once: a bomb must not fill the memory
_EITHER = 47  # zlib's number for: gzip or zlib, as the first bytes say
_DEFLATE = 8  # in the first byte of zlib's header
_BARE = -15  # of deflate without a header
_BODILESS = frozenset({204, 205, 304})
_MEMBER = b"\x1f\x8b"


class HttpBody(Body):
    """Reads to the end or to where it breaks off."""

    def __init__(self, raw: BaseHTTPResponse, deadline: Deadline) -> None:
        length = raw.headers.get("content-length", "")
        super().__init__(int(length) if length.isdecimal() else None)
        self._raw = raw
        self._deadline = deadline
        coding = raw.headers.get("content-encoding", "").strip().lower()
        # Where nothing tells the end of a body, one that never begins looks like a head
        # that broke off, and the latter is what happens.
        self._may_be_empty = (
            self.size is not None
            or "chunked" in raw.headers.get("transfer-encoding", "").lower()
            or raw.status in _BODILESS
        )
        self.packed = coding in {"gzip", "x-gzip", "deflate"}
        self._deflated = coding == "deflate"

    def __iter__(self) -> Iterator[bytes]:
        """Yield what came, and never raise because the rest did not.

        Raises:
            Unreachable: the time for the whole answer is over.
        """
        try:
            yield from self._unpacked() if self.packed else self._wire()
            if not self._may_be_empty:
                self.whole = False
        except (HTTPError, OSError, zlib.error):
            self.whole = False

    def _wire(self) -> Iterator[bytes]:
        # What there is, piece by piece: a read of a full block would let a source that
        # sends a byte a minute hold a worker for hours.
        while chunk := self._raw.read1(_PIECE, decode_content=False):
            self._may_be_empty = True
            yield chunk
            self._deadline.left_s()

    def _unpacked(self) -> Iterator[bytes]:
        wire = self._wire()
        first = b""
        while len(first) < len(_MEMBER) and (chunk := next(wire, b"")):
            first += chunk
        kind = _kind(first, deflated=self._deflated)
        if kind is None:
            yield first
            yield from wire
            return
        unpacker = zlib.decompressobj(kind)
        began = bool(first)
        for chunk in chain((first,), wire):
            rest = chunk
            while rest:
                if unpacker.eof:
                    if not rest.startswith(_MEMBER):
                        break  # padding after the end, which all clients overlook
                    unpacker = zlib.decompressobj(_EITHER)
                yield unpacker.decompress(rest, _MOST_UNPACKED)
                rest = unpacker.unconsumed_tail or unpacker.unused_data
        while tail := unpacker.decompress(unpacker.unconsumed_tail, _MOST_UNPACKED):
            yield tail
        self.whole = unpacker.eof or not began


def _kind(first: bytes, *, deflated: bool) -> int | None:
    """Return zlib's number for how a body is packed, as its first bytes say.

    Servers send what they call deflate with a header and without; and proxies leave
    the word gzip on what they have unpacked, for which there is None.
    """
    if not first or first.startswith(_MEMBER):
        return _EITHER
    if not deflated:
        return None
    headed = first[0] & 15 == _DEFLATE and int.from_bytes(first[:2]) % 31 == 0
    return _EITHER if headed else _BARE
