"""Drives a connector: asks, judges, asks again, follows; the same for every source.

The transport may be the outside world or the archive, which is why a parse can be done
again without a network and gives the same rows.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ingest.contract import Connector, Page, Partition
from ingest.exchange import Answer, Pause, RateLimited, Request, Transport, Unreachable
from ingest.verdicts import GOOD, RETRIED, Verdict

TRIES = 3
MOST_PAGES = 10_000
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Exchange:
    """One question, its answer, and what the answer means."""

    request: Request
    answer: Answer
    page: Page


Judged = Callable[[Exchange], None]
"""Is told of every answer as soon as it is judged, good or bad."""


class Refused(Exception):
    """A partition cannot be read; the verdict says why, and whether it can later."""

    def __init__(self, verdict: Verdict, request: Request) -> None:
        super().__init__(verdict, request)
        self.verdict = verdict
        self.request = request

    def __str__(self) -> str:
        return f"{self.verdict.cls}: {self.verdict.detail}"


def exchanges(
    connector: Connector,
    partition: Partition,
    *,
    transport: Transport,
    pause: Pause,
    judged: Judged = lambda _: None,
) -> Iterator[Exchange]:
    """Read a partition page by page.

    Args:
        connector: of the source.
        partition: what to read.
        transport: what carries the requests.
        pause: waits some seconds between two tries.
        judged: is told of every answer, also of those that are asked for again.

    Raises:
        Refused: an answer is none that can be used, after three tries where that may
            help. What was read before must not be stored: the partition is not whole.
        RateLimited: the source wants a longer pause than a worker should sit through.
    """
    waiting = deque((request, False) for request in connector.requests(partition))
    asked: set[str] = set()
    while waiting:
        request, goes_on = waiting.popleft()
        if request.fingerprint in asked or len(asked) >= MOST_PAGES:
            detail = "the source leads from page to page in a circle, or without end"
            raise Refused(Verdict("malformed", detail), request)
        asked.add(request.fingerprint)
        means = (transport, pause, judged)
        found = _asked(connector, partition, request, means, goes_on=goes_on)
        yield found
        # After a list come things of their own, after rows the rest of the rows.
        goes_on = found.page.verdict.cls != "metadata"
        waiting.extend((following, goes_on) for following in found.page.follow)


def _asked(
    connector: Connector,
    partition: Partition,
    request: Request,
    means: tuple[Transport, Pause, Judged],
    *,
    goes_on: bool,
) -> Exchange:
    transport, pause, judged = means
    verdict = Verdict("transient", "no answer came")
    for number in range(TRIES):
        if number:
            pause(_pause_s(verdict, number))
        try:
            answer = transport.send(request)
        except Unreachable as error:
            verdict = Verdict("transient", str(error))
            continue
        page = connector.read(request, answer, partition)
        if goes_on and page.verdict.cls == "not_available":
            page = Page(replace(page.verdict, cls="transient"))
        found = Exchange(request, answer, page)
        judged(found)
        verdict = found.page.verdict
        if verdict.cls in GOOD or verdict.cls == "not_available":
            return found
        if verdict.cls == "rate_limited":
            _rest(verdict, number, pause)
        elif verdict.cls not in RETRIED:
            break
    raise Refused(verdict, request)


def rest_s(verdict: Verdict) -> float:
    """Return how long a source that is asked too fast wants to be left alone."""
    return _LONGEST_PAUSE_S if verdict.wait_s is None else verdict.wait_s


def _rest(verdict: Verdict, number: int, pause: Pause) -> None:
    wait_s = rest_s(verdict)
    if wait_s > _LONGEST_PAUSE_S or number + 1 == TRIES:
        raise RateLimited(wait_s, verdict.detail)
    pause(wait_s)


def _pause_s(verdict: Verdict, number: int) -> float:
    if verdict.cls == "rate_limited":
        return 0.0  # it has been waited for already
    grown = _FIRST_PAUSE_S * float(4 ** (number - 1))
    return min(_LONGEST_PAUSE_S, max(grown, verdict.wait_s or 0.0))
