"""Rounds: on each side a burst to completion, one job at a time, and a batch."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.figures import quantile
from bench.load import Order, Refused, Told, run_apart
from bench.sides import Side

_LOOK_EVERY_S = 0.02
_DRAIN_WITHIN_S = 300.0


@dataclass(frozen=True)
class Plan:
    """How much a bench does; the numbers hold for each side."""

    rounds: int = 9
    burst: int = 1_000
    threads: int = 8
    singles: int = 100
    batch: int = 1_000
    warm_up: int = 400


class Course:
    """A side with the count of all jobs that were sent to it."""

    def __init__(self, side: Side, plan: Plan) -> None:
        self.side = side
        self._plan = plan
        self._sent = 0

    def warm_up(self) -> None:
        """Fill caches, pools and compiled statements before anything counts."""
        for order in (self.side.submit, self.side.wait):
            self._load(order, self._plan.warm_up, self._plan.threads)
        self._drained()

    def burst(self) -> dict[str, float]:
        """Submit from many connections; return rates in 1/s and times in ms."""
        plan = self._plan
        told = self._load(self.side.submit, plan.burst, plan.threads)
        ended = self._drained()
        return {
            "submissions": plan.burst / told.took_s,
            "jobs": plan.burst / (ended - told.began),
            "submit_p50": quantile(told.each_s, 0.5) * 1_000,
            "submit_p95": quantile(told.each_s, 0.95) * 1_000,
        }

    def singles(self) -> dict[str, float]:
        """Submit and await one job after the other; return times in ms."""
        each_s = self._load(self.side.wait, self._plan.singles, 1).each_s
        return {
            "result_p50": quantile(each_s, 0.5) * 1_000,
            "result_p95": quantile(each_s, 0.95) * 1_000,
        }

    def batches(self) -> dict[str, float]:
        """Submit a batch, where the side takes one; return jobs submitted in 1/s."""
        if self.side.batch is None:
            return {}
        took_s = self._load(self.side.batch, 1, 1, jobs=self._plan.batch).took_s
        self._drained()
        return {"batch": self._plan.batch / took_s}

    def _load(self, order: Order, count: int, threads: int, *, jobs: int = 1) -> Told:
        told = run_apart(replace(order, count=count, threads=threads))
        self._sent += count * jobs
        return told

    def _drained(self) -> float:
        """Wait until all jobs have ended; return when that was seen."""
        ends_at = time.monotonic() + _DRAIN_WITHIN_S
        while not self.side.finished(self._sent):
            if time.monotonic() > ends_at:
                raise Refused(f"{self.side.name}: jobs are lost or too slow")
            time.sleep(_LOOK_EVERY_S)
        return time.monotonic()


Rounds = dict[str, list[dict[str, float]]]


_PHASES = (Course.burst, Course.singles, Course.batches)


def alternate(sides: list[Side], plan: Plan, *, say: Callable[[str], None]) -> Rounds:
    """Warm all sides up, then measure them in turn; return the rounds by side.

    The turns are short and change who comes first, so that whatever else the machine
    does meanwhile meets both sides of a round alike.
    """
    courses = [Course(side, plan) for side in sides]
    for course in courses:
        course.warm_up()
    found: Rounds = {side.name: [] for side in sides}
    for number in range(1, plan.rounds + 1):
        courses.reverse()
        for course in courses:
            found[course.side.name].append({})
        for phase in _PHASES:
            for course in courses:
                found[course.side.name][-1] |= phase(course)
        say(f"round {number} of {plan.rounds} measured")
    return found
