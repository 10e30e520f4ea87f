"""Streams of rows from a connection to a reader, a batch at a time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from flask import Response

from web.formats import ARROW, CSV
from web.stream import TooManyStreams

_places = threading.BoundedSemaphore(8)
"""Each export holds a connection as long as its reader is slow; others need some."""

_BROKEN = {
    CSV: b'"',
    "application/x-ndjson": b'{"incomplete":',
    ARROW: b"\xff\xff\xff\xff\x08\x00\x00\x00",
}
"""What no reader takes for an end: an open quote, half a row, half a message.

The other forms are not whole without their last bytes.
"""


def export_response(
    batches: Iterator[Any],
    write: Callable[[Iterator[Any]], Iterator[bytes]],
    *,
    form: str,
) -> Response:
    """Answer with a stream of what ``write`` makes of the batches.

    A stream that breaks off does not look whole: its last chunk is missing, and what
    came cannot be read to its end.

    Args:
        batches: takes a connection when the first one is taken, and not before.
        write: the format.
        form: its media type.

    Raises:
        TooManyStreams: as many exports as there may be are under way.
    """
    if not _places.acquire(blocking=False):
        raise TooManyStreams
    place = ExitStack()
    place.callback(_places.release)

    def body() -> Iterator[bytes]:
        said = False
        with place:
            try:
                for piece in write(batches):
                    yield piece
                    said = said or bool(piece)
            except Exception:
                # Where nothing was said yet, the server can still answer 500.
                if said and form in _BROKEN:
                    yield _BROKEN[form]
                raise

    answer = Response(body(), mimetype=form)
    answer.call_on_close(place.close)  # where the reader left before the first byte
    return answer
