"""Fill what is missing in a series on its grid, by rules that the caller names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.arrays import BoolArray, FloatArray
from forecasting.errors import InvalidSeries

# Gaps up to this many steps are bridged by a straight line.
SHORT_GAP = 2
# The seasonal median looks this many seasons back and forth.
SEASONS_EACH_WAY = 4
# Above this share of guessed steps the reader is warned.
_MANY_FILLED = 0.2
STATISTICS: dict[str, Callable[[FloatArray], Any]] = {
    "mean": np.mean,
    "median": np.median,
    "min": np.min,
    "max": np.max,
}
METHODS = (
    "none",
    "auto",
    "linear",
    "seasonal",
    "previous",
    "zero",
    "nan",
    *STATISTICS,
)
DUPLICATES = ("refuse", "first", "last", "mean", "sum")
_WHERE = {
    "front": " before the first observation",
    "middle": "",
    "back": " after the latest observation",
}


@dataclass(frozen=True)
class FillRules:
    """What is done about steps without a value, and about times with several.

    The front of a series reaches from the start of the panel to its first observation,
    the middle lies between its observations, and the back reaches from its latest one
    to the end of the panel. Each is filled by one of:

    * "none": the front or the back is left out, so that the series begins or ends with
      its observations; a gap in the middle is refused.
    * "auto": gaps of up to two steps as "linear", longer ones as "seasonal".
    * "linear": a straight line; outside of the observations, the nearest one.
    * "seasonal": the median of the same phase in up to four seasons before and after;
      where no such value was observed, or the season is 1, as "linear".
    * "previous": the latest value before; not for the front.
    * "mean", "median", "min", "max": of all observations of the series.
    * "nan": nobody knows. Models are shown what "auto" fills in.
    * "zero" or a number: that is what a step without a row means, as where only days
      with sales have rows. Such steps count as observed; all others are guesses, which
      no forecast is held against.

    Attributes:
        front: the rule for the front.
        middle: the rule for the middle.
        back: the rule for the back; any but "none" moves the cutoff.
        duplicates: what becomes of several values for one time: "refuse", "first" or
            "last" (in the order given), "mean" or "sum". Any but "refuse" also puts
            rows that are out of order in order.
    """

    front: str | float = "none"
    middle: str | float = "auto"
    back: str | float = "none"
    duplicates: str = "refuse"

    def __post_init__(self) -> None:
        for part in _WHERE:
            rule = getattr(self, part)
            if rule not in METHODS if isinstance(rule, str) else not np.isfinite(rule):
                msg = f"the {part} cannot be filled by {rule!r}: use a number or one of"
                raise InvalidSeries(f"{msg} {', '.join(METHODS)}")
        if self.front == "previous":
            msg = "nothing precedes the front of a series: fill it by another rule"
            raise InvalidSeries(f"{msg} than 'previous'")
        if self.duplicates not in DUPLICATES:
            msg = f"no rule for duplicates is called {self.duplicates!r}: use one of"
            raise InvalidSeries(f"{msg} {', '.join(DUPLICATES)}")


@dataclass(frozen=True)
class Filled:
    """A series without gaps.

    Attributes:
        values: shape (n,), no NaN.
        observed: shape (n,), False where the value is a guess.
        notes: what was done, in sentences.
    """

    values: FloatArray
    observed: BoolArray
    notes: tuple[str, ...]


def fill_gaps(known: FloatArray, *, season: int, rules: FillRules) -> Filled:
    """Fill the front, the middle and the back of a series by their rules.

    Every rule reads the observations alone, so the order of the parts does not matter.

    Args:
        known: values on the grid, shape (n,), any unit, NaN where missing, at least one
            known.
        season: steps, at least 1.
        rules: the rules.

    Returns:
        The filled series; unit of the values.

    Raises:
        InvalidSeries: a gap in the middle, and its rule is "none".

    Example:
        >>> gaps = np.array([np.nan, 1.0, np.nan, 3.0])
        >>> fill_gaps(gaps, season=1, rules=FillRules(front="zero")).values
        array([0., 1., 2., 3.])
    """
    missing = np.isnan(known)
    if not missing.any():
        return Filled(known, ~missing, ())
    present = np.flatnonzero(~missing)
    ends = (0, int(present[0]), int(present[-1]), known.size)
    filled, observed, notes = known.copy(), ~missing, []
    for (part, where), start, stop in zip(_WHERE.items(), ends, ends[1:], strict=False):
        steps = start + np.flatnonzero(missing[start:stop])
        if steps.size:
            rule = getattr(rules, part)
            filled[steps], how = _by_rule(known, steps, season, rule)
            observed[steps] = stated_value(rule) is not None
            text = f"{steps.size} of {known.size} steps{where} were missing and filled"
            notes.append(f"{text}: {how}")
    guessed = int((~observed).sum())
    if guessed > _MANY_FILLED * known.size:
        notes.append(
            f"{guessed / known.size:.0%} of the history is filled, not observed: "
            "trust the forecast accordingly"
        )
    return Filled(filled, observed, tuple(notes))


def stated_value(rule: str | float) -> float | None:
    """Return the number that a rule itself names, None for rules that guess.

    Example:
        >>> stated_value("zero"), stated_value(2.5), stated_value("mean")
        (0.0, 2.5, None)
    """
    if rule == "zero":
        return 0.0
    return None if isinstance(rule, str) else float(rule)


def _by_rule(
    known: FloatArray, steps: Any, season: int, rule: str | float
) -> tuple[Any, str]:
    stated = stated_value(rule)
    if stated is not None:
        return stated, f"by {stated:g}, which counts as observed"
    if rule in STATISTICS:
        value = float(STATISTICS[str(rule)](known[~np.isnan(known)]))
        return value, f"by the {rule} of the observations, {value:g}"
    if rule == "previous":
        return _previous(known)[steps], "by the latest value before"
    if rule == "none":
        raise InvalidSeries(
            f"{steps.size} of {known.size} steps are missing, the first is step number "
            f"{steps[0]}: send them, or name a rule for the middle"
        )
    line = _line(known)[steps]
    if rule == "linear":
        return line, "by a straight line"
    wanted = np.ones(steps.shape, dtype=bool)
    if rule != "seasonal":
        wanted = _in_long_gap(np.isnan(known))[steps]
    typical = np.full(steps.shape, np.nan)
    if season > 1:
        typical[wanted] = _same_phase(known, steps[wanted], season)
    seasonal = ~np.isnan(typical)
    lines, seasons = int((~seasonal).sum()), int(seasonal.sum())
    how = f"{lines} by a straight line, {seasons} by nearby seasons"
    return np.where(seasonal, typical, line), how


def _line(known: FloatArray) -> FloatArray:
    steps, there = np.arange(known.size), ~np.isnan(known)
    return np.asarray(np.interp(steps, steps[there], known[there]))


def _previous(known: FloatArray) -> FloatArray:
    place = np.where(np.isnan(known), 0, np.arange(known.size))
    return known[np.maximum.accumulate(place)]


def _in_long_gap(missing: BoolArray) -> BoolArray:
    edges = np.diff(np.concatenate(([0], missing.astype(np.int8), [0])))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = np.zeros_like(missing)
    for start, stop in zip(starts, stops, strict=True):
        long[start:stop] = stop - start > SHORT_GAP
    return long


def _same_phase(known: FloatArray, steps: Any, season: int) -> FloatArray:
    if not steps.size:
        return np.empty(0)
    away = np.arange(1, SEASONS_EACH_WAY + 1) * season
    around = steps[:, None] + np.concatenate((-away, away))[None, :]
    inside = (around >= 0) & (around < known.size)
    near = np.where(inside, known[np.clip(around, 0, known.size - 1)], np.nan)
    found = ~np.isnan(near).all(axis=1)
    typical = np.full(steps.shape, np.nan)
    typical[found] = np.nanmedian(near[found], axis=1)
    return typical
