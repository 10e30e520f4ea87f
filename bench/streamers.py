"""The clients, ``python -m bench.streamers``: hundreds of streams in one cheap process.

Reads an order as one line of JSON from standard input, says "open" when every client
has its first answer, and goes on until standard input ends and then until nothing has
come for a while. Then it prints what every stream was told.
"""

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

_LIMIT = 1_000_000
_GONE = 204
_OK = 200
_LOOK_EVERY_S = 0.1


@dataclass
class Stream:
    """A path to follow from ``latest`` on; ``seen`` are numbers and kinds of events."""

    path: str
    latest: str | None = None
    seen: list[tuple[int, str]] = field(default_factory=list)
    ended: bool = False


@dataclass(frozen=True)
class Order:
    """Streams of single jobs, ``clients`` of them at once, and streams of all jobs."""

    port: int
    key: str
    jobs: list[Stream]
    feeds: list[Stream]
    clients: int
    quiet_s: float = 0.0


def blocks(waiting: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Return the whole events as (id, kind), and the beginning of the next one."""
    *whole, rest = waiting.split(b"\n\n")
    return list(_events(whole)), rest


def _events(whole: list[bytes]) -> Iterator[tuple[str, str]]:
    for block in whole:
        lines = (line.partition(": ") for line in block.decode().split("\n"))
        found = {name: text for name, _, text in lines}
        if "event" in found:
            yield found["id"], found["event"]


def note(stream: Stream, event_id: str, kind: str) -> None:
    """Keep an event; a mark says only where to go on."""
    stream.latest = event_id
    if kind != "mark":
        stream.seen.append((int(event_id.rpartition("/")[2]), kind))


class Clients:
    """All clients of an order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._waiting = deque(order.jobs)
        self._first: set[int] = set()
        self._told_at = time.monotonic()

    async def run(self) -> None:
        """Follow until standard input ends and it has been quiet."""
        order = self._order
        busy = min(order.clients, len(order.jobs))
        tasks = [asyncio.create_task(self._follow_jobs(one)) for one in range(busy)]
        tasks += [
            asyncio.create_task(self._follow(stream, busy + number))
            for number, stream in enumerate(order.feeds)
        ]
        while len(self._first) < len(tasks):
            _raise_faults(tasks)
            await asyncio.sleep(_LOOK_EVERY_S)
        print("open", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        while time.monotonic() - self._told_at < order.quiet_s:  # noqa: ASYNC110 - quiet is no event
            await asyncio.sleep(_LOOK_EVERY_S)
        _raise_faults(tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow_jobs(self, client: int) -> None:
        while self._waiting:
            await self._follow(self._waiting.popleft(), client)
        self._first.add(client)

    async def _follow(self, stream: Stream, client: int) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._order.port, limit=_LIMIT
        )
        try:
            # HTTP/1.0, so that the answer comes without chunks.
            asked = f"GET {stream.path} HTTP/1.0\r\n" + _headers(self._order, stream)
            writer.write(asked.encode())
            status = int((await reader.readline()).split()[1])
            if status not in (_OK, _GONE):
                raise RuntimeError(f"{stream.path}: HTTP {status}")
            await reader.readuntil(b"\r\n\r\n")
            rest = b""
            while piece := await reader.read(65536):
                self._first.add(client)
                found, rest = blocks(rest + piece)
                for event_id, kind in found:
                    note(stream, event_id, kind)
                    self._told_at = time.monotonic()
            stream.ended = True
        finally:
            writer.close()


def _headers(order: Order, stream: Stream) -> str:
    latest = f"Last-Event-ID: {stream.latest}\r\n" if stream.latest else ""
    return f"Authorization: Bearer {order.key}\r\n{latest}\r\n"


def _raise_faults(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        if task.done() and (fault := task.exception()) is not None:
            raise fault


def parse(told: dict[str, Any]) -> Order:
    """Return the order that ``asdict`` made a dictionary of."""
    streams = {
        name: [Stream(**{**one, "seen": []}) for one in told[name]]
        for name in ("jobs", "feeds")
    }
    return Order(**{**told, **streams})


def main() -> None:
    """Run the order on standard input."""
    order = parse(json.loads(sys.stdin.readline()))
    asyncio.run(Clients(order).run())
    json.dump([asdict(one) for one in (*order.jobs, *order.feeds)], sys.stdout)


if __name__ == "__main__":
    main()
