"""Reads server-sent events as a browser would."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Seen:
    """One event, or a comment, whose kind is empty.

    The ids of a job's stream are numbers, those of a tenant's stream are marks.
    """

    id: int | str
    kind: str
    body: dict[str, Any]


def events(pieces: Iterable[bytes]) -> Iterator[Seen]:
    """Yield events and comments as they come."""
    waiting = b""
    for piece in pieces:
        waiting += piece
        while b"\n\n" in waiting:
            block, _, waiting = waiting.partition(b"\n\n")
            fields = dict(
                line.split(": ", 1) for line in block.decode().split("\n") if line
            )
            if "" in {name.strip() for name in fields}:
                yield Seen(0, "", {})
            elif "data" in fields:
                body = json.loads(fields["data"])
                told = fields["id"]
                number = int(told) if told.isdecimal() else told
                yield Seen(number, fields["event"], body)
    assert not waiting, "the stream ended inside an event"
