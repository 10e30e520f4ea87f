"""Streams of rows from a connection to a reader, a batch at a time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from flask import Response

from web.stream import TooManyStreams

_places = threading.BoundedSemaphore(8)
"""Each export holds a connection as long as its reader is slow; others need some."""


def export_response(
    batches: Iterator[Any],
    write: Callable[[Iterator[Any]], Iterator[bytes]],
    *,
    form: str,
) -> Response:
    """Answer with a stream of what ``write`` makes of the batches.

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
        with place:
            yield from write(batches)

    answer = Response(body(), mimetype=form)
    answer.call_on_close(place.close)  # where the reader left before the first byte
    return answer
