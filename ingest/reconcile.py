"""Two series that say the same thing: what they say at each time, and how far apart.

Of two values a and b the difference is |a - b| / max(|a|, |b|): the same whichever of
them comes first, and 0 where both are 0. It reaches 1 where one of them is 0, and 2
where they are opposite; a negative price needs no rule of its own.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ingest.errors import InvalidLayout
from ingest.steps import edges_of, local_dates, usual_step

Times: TypeAlias = "NDArray[np.datetime64]"
Values: TypeAlias = "NDArray[np.float64]"
Align: TypeAlias = Literal["exact", "mean", "date"]

_SEVERAL = (
    "there are several values of {}: align date takes one value a day; use align mean "
    "against a daily series"
)
_NOT_ONE_STEP = 1.5
"""Months differ by less than that, an hour and its quarters by more."""


@dataclass(frozen=True)
class Side:
    """One of the two series.

    Attributes:
        times: shape (n,), UTC, microseconds, ascending, each once.
        values: shape (n,), finite.
        timezone: whose days it has.
    """

    times: Times
    values: Values
    timezone: str = "UTC"


@dataclass(frozen=True)
class Limit:
    """From where on two values differ.

    Attributes:
        share: of the larger of both magnitudes.
        absolute: up to so much in the unit of the series nothing differs.
    """

    share: float = 0.05
    absolute: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """Two series side by side, by time.

    Attributes:
        times: shape (n,), all at which one of them has a value.
        preferred: shape (n,), NaN where it has none.
        other: the same.
        difference: shape (n,), relative; NaN where one has no value.
        beyond: shape (n,), whether the limit is passed.
        incomplete: intervals that were left out, as one side has only a part of them.
    """

    times: Times
    preferred: Values
    other: Values
    difference: Values
    beyond: NDArray[np.bool_]
    incomplete: int = 0

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Where both have a value, shape (n,)."""
        return np.isfinite(self.difference)


def compare(
    preferred: Side, other: Side, *, align: Align = "exact", limit: Limit = Limit()
) -> Comparison:
    """Hold two series against each other.

    Args:
        preferred: the one that is believed.
        other: the one that is held against it.
        align: ``exact`` compares equal times, and refuses series of different steps;
            ``mean`` takes the mean of the finer one over each whole interval of the
            coarser; ``date`` compares the values of one local date, each in the zone
            of its series.
        limit: from where on they differ.

    Raises:
        InvalidLayout: they cannot be compared so; the message says how they can.

    Example:
        >>> at = np.array(["2026-03-02"], "M8[us]")
        >>> found = compare(Side(at, np.array([100.0])), Side(at, np.array([94.0])))
        >>> float(found.difference[0]), bool(found.beyond[0])
        (0.06, True)
    """
    incomplete = 0
    if align == "date":
        preferred, other = _on_dates(preferred), _on_dates(other)
    elif align == "mean":
        preferred, other, incomplete = _on_intervals(preferred, other)
    else:
        _refuse_steps(preferred, other)
    times = np.union1d(preferred.times, other.times)
    a, b = (_spread(one, times) for one in (preferred, other))
    difference = relative_difference(a, b)
    with np.errstate(invalid="ignore"):
        beyond = (difference > limit.share) & (np.abs(a - b) > limit.absolute)
    return Comparison(times, a, b, difference, beyond, incomplete)


def relative_difference(a: Values, b: Values) -> Values:
    """Return |a - b| / max(|a|, |b|), 0 where both are 0.

    Args:
        a: shape (n,); NaN gives NaN.
        b: shape (n,), in the same unit.

    Returns:
        Shape (n,), 0 to 2, without a unit.

    Example:
        >>> relative_difference(np.array([3.0, 0, -1]), np.array([4.0, 0, 1])).tolist()
        [0.25, 0.0, 2.0]
    """
    larger = np.maximum(np.abs(a), np.abs(b))
    with np.errstate(over="ignore"):
        share = np.abs(a - b) / np.where(larger == 0, 1.0, larger)
    return np.where(np.isnan(share), share, np.minimum(share, 2.0))


def _spread(side: Side, times: Times) -> Values:
    values = np.full(len(times), np.nan)
    values[np.searchsorted(times, side.times)] = side.values
    return values


def _two_steps(preferred: Side, other: Side) -> tuple[int, int] | None:
    """Return their steps in microseconds; None where they are one and the same."""
    one, two = usual_step(preferred.times), usual_step(other.times)
    if one is None or two is None or max(one, two) <= _NOT_ONE_STEP * min(one, two):
        return None
    return one, two


def _refuse_steps(preferred: Side, other: Side) -> None:
    if steps := _two_steps(preferred, other):
        told = " and ".join(f"{step / 1e6:g} s" for step in steps)
        raise InvalidLayout(
            f"their steps differ, {told}: use align mean to compare the means of the "
            "finer one over the intervals of the coarser"
        )


def _on_dates(side: Side) -> Side:
    if len(side.times) and len(side.times) > _most_dates(side.times):
        raise InvalidLayout(_SEVERAL.format("a date"))
    dates = local_dates(side.times, timezone=side.timezone)
    again = np.flatnonzero(dates[1:] == dates[:-1])
    if len(again):
        raise InvalidLayout(_SEVERAL.format(f"{dates[again[0]]} in {side.timezone}"))
    return Side(dates.astype("M8[us]"), side.values, side.timezone)


def _most_dates(times: Times) -> int:
    """Return how many dates may lie between the ends, wherever they are looked up."""
    return int((times[-1] - times[0]) // np.timedelta64(1, "D")) + 2


def _on_intervals(preferred: Side, other: Side) -> tuple[Side, Side, int]:
    """Put the finer of two series on the intervals of the coarser."""
    steps = _two_steps(preferred, other)
    if steps is None:
        return preferred, other, 0
    if steps[0] > steps[1]:
        other, incomplete = _means(other, preferred, (steps[1], steps[0]))
    else:
        preferred, incomplete = _means(preferred, other, (steps[0], steps[1]))
    return preferred, other, incomplete


def _means(fine: Side, coarse: Side, steps: tuple[int, int]) -> tuple[Side, int]:
    """Return the means of whole intervals, and how many were not whole."""
    fine_us, coarse_us = steps
    if coarse_us % fine_us:
        raise InvalidLayout(
            f"a step of {coarse_us / 1e6:g} s is no multiple of {fine_us / 1e6:g} s: "
            "such series cannot be compared"
        )
    edges = edges_of(
        coarse.times,
        step_us=coarse_us,
        timezone=coarse.timezone,
        cover=(fine.times[0], fine.times[-1]),
    )
    places = np.searchsorted(edges, fine.times, side="right") - 1
    size = len(edges) - 1
    counts = np.bincount(places, minlength=size)
    sums = np.bincount(places, weights=fine.values, minlength=size)
    # Of a day in which a clock is put there are fewer values, or more.
    whole = counts == np.diff(edges).astype(np.int64) // fine_us
    kept = np.flatnonzero(whole)
    means = Side(edges[kept], sums[kept] / counts[kept], fine.timezone)
    return means, int(np.count_nonzero((counts > 0) & ~whole))
