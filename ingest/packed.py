"""Bodies that came packed with gzip, whether or not a header said so."""

import gzip
import io
import zlib
from dataclasses import replace

from ingest.exchange import Answer

MOST_UNPACKED = 256 * 1024 * 1024
"""Bytes that are unpacked at once, and one more that tells that there are more."""

_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20


def unpacked(answer: Answer) -> Answer:
    """Return an answer with its body unpacked; one that is not packed stays as it is.

    For bodies that are read at once. What is cut off or damaged counts as not whole.

    Example:
        >>> from datetime import UTC, datetime
        >>> at, body = datetime.now(UTC), gzip.compress(b"[1]")
        >>> unpacked(Answer(200, {}, at, body)).body, unpacked(
        ...     Answer(200, {}, at, body[:-9])
        ... ).whole
        (b'[1]', False)
    """
    with answer.open() as stream:
        if stream.read(len(_GZIP)) != _GZIP:
            return answer
        stream.seek(0)
        found = io.BytesIO()
        try:
            with gzip.GzipFile(fileobj=stream) as plain:
                while found.tell() <= MOST_UNPACKED and (piece := plain.read(_PIECE)):
                    found.write(piece)
        except (EOFError, OSError, zlib.error):
            answer = replace(answer, whole=False)
    of_the_packed = ("content-encoding", "content-length")
    headers = {n: text for n, text in answer.headers.items() if n not in of_the_packed}
    return replace(answer, headers=headers, content=found.getvalue(), path=None)
