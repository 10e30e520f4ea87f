"""Which faults strike when: drawn from a seed, so that a run can be repeated.

A fault strikes when so many jobs have been accepted, not at a time of the clock: the
same seed then meets the same load on a slow machine too.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

WEIGHTS = {
    "kill child": 12,
    "kill worker": 8,
    "kill dispatcher": 10,
    "kill web": 9,
    "kill beat": 4,
    "pause child": 7,
    "pause worker": 6,
    "pause dispatcher": 5,
    "pause web": 4,
    "pause beat": 2,
    "restart broker": 4,
    "kill broker": 3,
    "broker memory alarm": 5,
    "restart database": 5,
    "kill database": 3,
    "duplicate messages": 10,
    "reorder messages": 8,
    "lose messages": 5,
    "full artifacts": 6,
    "clock step": 8,
}
"""Every kind of fault and how often it comes, relative to the others."""

KINDS = tuple(WEIGHTS)
CHEAP = (
    "kill child",
    "kill dispatcher",
    "kill web",
    "kill beat",
    "pause child",
    "restart database",
    "duplicate messages",
    "reorder messages",
    "lose messages",
    "full artifacts",
    "clock step",
)
"""Kinds after which the platform is whole again within a second or two."""

_HOLDS_S = {
    "pause child": (5.0, 8.0),
    "pause worker": (5.0, 8.0),
    "pause dispatcher": (2.0, 6.0),
    "pause web": (2.0, 6.0),
    "pause beat": (5.0, 8.0),
    "broker memory alarm": (3.0, 6.0),
    "full artifacts": (2.0, 5.0),
}
LEASE_S = 4.0
"""The lease the platform runs with; a paused worker sleeps longer than that."""


@dataclass(frozen=True)
class Fault:
    """One fault: what happens once ``after`` jobs are accepted, and for how long."""

    after: int
    kind: str
    hold_s: float
    seed: int


def make_plan(
    seed: int, *, jobs: int, faults: int, kinds: Sequence[str] = KINDS
) -> list[Fault]:
    """Draw faults of every kind, spread over the jobs, in the order they strike.

    Raises:
        ValueError: there are fewer faults than kinds, or a kind is unknown.
    """
    if faults < len(kinds):
        raise ValueError(f"{faults} faults are too few for {len(kinds)} kinds")
    if unknown := set(kinds) - set(KINDS):
        raise ValueError(f"unknown kinds of fault: {sorted(unknown)}")
    rng = random.Random(seed)
    weights = [WEIGHTS[kind] for kind in kinds]
    drawn = [*kinds, *rng.choices(kinds, weights, k=faults - len(kinds))]
    rng.shuffle(drawn)
    step = jobs / (faults + 1)
    return [
        Fault(
            after=int(step * (number + rng.random())),
            kind=kind,
            hold_s=round(rng.uniform(*_HOLDS_S.get(kind, (0.0, 0.0))), 2),
            seed=rng.randrange(1 << 32),
        )
        for number, kind in enumerate(drawn)
    ]
