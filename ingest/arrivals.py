"""Answers as they arrive: until when is waited, whether all came, where it is laid."""

from collections.abc import Iterator, Mapping

from ingest.exchange import Answer, Unreachable
from ingest.redaction import Redactor
from ingest.spool import TooLarge, keep
from ingest.wire import Clock, Outside


class Deadline:
    """The end of one exchange."""

    def __init__(self, clock: Clock, total_s: float) -> None:
        self._clock = clock
        self._total_s = total_s
        self._began = clock()

    def left_s(self) -> float:
        """Return how many seconds are left.

        Raises:
            Unreachable: none.
        """
        left_s = self._total_s - (self._clock() - self._began).total_seconds()
        if left_s <= 0:
            raise Unreachable(f"no whole answer came in {self._total_s:g} s")
        return left_s


class Body:
    """Bytes on their way in; whether all came is known when they have been read."""

    whole = True

    def __init__(self, size: int | None = None) -> None:
        self.size = size

    def __iter__(self) -> Iterator[bytes]:
        """Yield what came, and never raise because the rest did not."""
        return iter(())


class Content(Body):
    """Bytes that are there already."""

    def __init__(self, content: bytes) -> None:
        super().__init__(len(content))
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        """Yield them."""
        yield self._content


def answered(
    head: tuple[int, Mapping[str, str]],
    body: Body,
    *,
    outside: Outside,
    redactor: Redactor,
) -> Answer:
    """Lay a body down without its secrets, and return the answer.

    Args:
        head: the status, and the headers, whose names are in lower case.
        body: what comes; read to its end.
        outside: where it is laid down, and how much of it.
        redactor: of the secrets.

    Raises:
        TooLarge: the body is larger than the limit.
    """
    status, headers = head
    fetched_at, most_bytes = outside.clock(), outside.wire.most_bytes
    if body.size is not None and body.size > most_bytes:
        raise TooLarge(most_bytes)
    kept = keep(
        redactor.stream(body),
        folder=outside.folder,
        in_memory=outside.wire.in_memory,
        most_bytes=most_bytes,
    )
    safe = {name: redactor.header(value) for name, value in headers.items()}
    if body.whole and safe.get("content-length") != str(kept.size):
        safe.pop("content-length", None)  # it told of bytes with a secret in them
    return Answer(
        status=status,
        headers=safe,
        fetched_at=fetched_at,
        content=kept.content,
        path=kept.path,
        whole=body.whole,
        sha256=kept.sha256,
    )
