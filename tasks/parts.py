"""Splitting a job over many series into parts of about half a minute each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from db import pace
from tasks.catalog import Params, Parts
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.inputs import SeriesParams, selected_keys

PART_S = 30.0
_FIRST_GUESS_S = 0.6
"""Seconds a series takes, as long as nothing is known of the job type's pace."""
_JOINED = frozenset({"series", "failed", "panels"})
S = TypeVar("S", bound=SeriesParams)


def by_series(name: str) -> Parts:
    """Return how a job type over series is split: each part works on some of them.

    Inline data stays whole: it is in the request, and would be stored once a part.
    """

    def split(params: S, context: JobContext) -> Sequence[Params]:
        if params.data is not None:
            return [params]
        keys = selected_keys(params, context)
        with context.read() as connection:
            each_s = pace.unit_s(connection, kind=name) or _FIRST_GUESS_S
        count = max(1, min(len(keys), round(PART_S / each_s)))
        return [
            params.model_copy(update={"series": keys[first : first + count]})
            for first in range(0, len(keys), count)
        ]

    return Parts(split, merged)


def merged(
    _params: Params, results: Iterator[Mapping[str, Any]], _context: JobContext
) -> Outcome:
    """Put the parts' series, and what else they list, together, in their order.

    Raises:
        InvalidData: no series of any part gave an answer.
    """
    whole: dict[str, Any] = {}
    lists: dict[str, list[Any]] = {}
    for one in results:
        whole = {**one}
        for name in _JOINED & one.keys():
            lists.setdefault(name, []).extend(one[name])
    refuse_empty(lists["series"], lists["failed"])
    return Outcome({**whole, **lists})


class NoAnswer(InvalidData):
    """No series of a job, or of a part of it, gave an answer; it says which and why."""

    def __init__(self, failed: Sequence[Mapping[str, str]]) -> None:
        super().__init__(why_not(failed))
        self.failed = [dict(one) for one in failed]


def refuse_empty(done: Sequence[Any], failed: Sequence[Mapping[str, str]]) -> None:
    """Fail where no series gave an answer.

    Raises:
        NoAnswer: saying why, for the first few series.
    """
    if not done:
        raise NoAnswer(failed)


def why_not(failed: Sequence[Mapping[str, str]]) -> str:
    """Say why the first few series gave no answer."""
    return "; ".join(f"{one['unique_id']}: {one['detail']}" for one in failed[:5])
