"""The load, ``python -m bench.load``: one process, so both sides have the same.

Reads an order as JSON from standard input, keeps a connection for each thread, and
prints how long every request took. The clock is the machine's monotonic one, which
all processes share, so the caller can go on counting from ``began``.
"""

import http.client
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

_TIMEOUT_S = 120


class Refused(RuntimeError):
    """A platform did not answer as the bench expects."""


@dataclass(frozen=True)
class Order:
    """``count`` posts of one body from ``threads`` connections.

    With ``follow``, each post is followed by a GET of that path, ``{id}`` filled in.
    ``result`` is what the last answer must then hold under "result".
    """

    port: int
    path: str
    body: str
    count: int
    threads: int
    headers: dict[str, str] = field(default_factory=dict)
    follow: str | None = None
    result: Any = None


@dataclass(frozen=True)
class Told:
    """When the load began, in monotonic seconds, how long it took, and each request."""

    began: float
    took_s: float
    each_s: list[float]


def run_apart(order: Order) -> Told:
    """Run an order in a process of its own.

    Raises:
        Refused: a platform did not answer as expected.
    """
    return Told(**answer_apart("bench.load", asdict(order)))


def answer_apart(module: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """Give an order to ``python -m module`` and return what it prints, both JSON.

    Raises:
        Refused: it did not end well.
    """
    done = subprocess.run(  # noqa: S603 - a module of ours
        [sys.executable, "-m", module],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(order: Order) -> Told:
    """Run an order in this process.

    Raises:
        Refused: a platform did not answer as expected.
    """
    opened = [_connect(order.port) for _ in range(order.threads)]
    numbers = iter(range(order.count))  # next() on it is atomic
    each_s: list[float] = []
    faults: list[Exception] = []

    def work(connection: http.client.HTTPConnection) -> None:
        try:
            for _ in itertools.takewhile(lambda _number: not faults, numbers):
                started = time.perf_counter()
                _post(connection, order)
                each_s.append(time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(one,)) for one in opened]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.monotonic() - began
    if faults:
        raise faults[0]
    return Told(began, took_s, each_s)


def _connect(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    connection.connect()
    return connection


def _post(connection: http.client.HTTPConnection, order: Order) -> None:
    headers = {"Content-Type": "application/json", **order.headers}
    connection.request("POST", order.path, order.body, headers)
    answer = _answer(connection)
    if order.follow:
        path = order.follow.format(id=json.loads(answer)["id"])
        connection.request("GET", path, headers=order.headers)
        answer = _answer(connection)
    if order.result is not None and json.loads(answer).get("result") != order.result:
        raise Refused(f"{order.path}: another result than expected: {answer!r}")


def _answer(connection: http.client.HTTPConnection) -> bytes:
    answer = connection.getresponse()
    body = answer.read()
    if answer.status not in (200, 202):
        raise Refused(f"HTTP {answer.status}: {body[:500]!r}")
    return body


def main() -> None:
    """Run the order on standard input."""
    json.dump(asdict(run(Order(**json.load(sys.stdin)))), sys.stdout)


if __name__ == "__main__":
    main()
