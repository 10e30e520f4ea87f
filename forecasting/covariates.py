"""Covariates: what is known besides a series, and since when it is known.

A forecast from a cutoff may read only what was known then. That is decided here, once,
for the backtests and for the final forecast alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from forecasting.arrays import BoolArray, FloatArray, TimeArray
from forecasting.errors import InvalidSeries
from forecasting.fill import STATISTICS, stated_value
from forecasting.holiday_columns import holiday_columns

# Squares of larger values, and their sums, might overflow.
_VALUE_LIMIT = 1e100
FILLS = ("none", "linear", "previous", "zero", *STATISTICS)

_Known: TypeAlias = tuple[TimeArray, FloatArray]


class Aligned(NamedTuple):
    """Covariates beside a history and its future.

    Attributes:
        names: of the columns, k of them.
        past: shape (n, k), no NaN.
        future: shape (horizon, k); a column known only for the past is all NaN.
        notes: what was done to them, in sentences.
    """

    names: tuple[str, ...]
    past: FloatArray
    future: FloatArray
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Covariate:
    """One covariate and, where it was published more than once, its vintages.

    A value holds for its very time: one of a finer frequency than the series is read at
    the times of the series, one of a coarser frequency needs rules to fill it. A row
    may be read at a cutoff when it was issued at the cutoff or before; of several
    rows for one time the latest issue counts. Rows are sorted when this is made, so
    that each later look costs a search.

    Attributes:
        name: of the column.
        times: UTC times for which the values hold, shape (n,), in any order.
        values: shape (n,), NaN means missing; a later issue may withdraw a value so.
        issued: UTC times since which each row was known, shape (n,); None when all of
            them always were.
        future: whether it is known ahead; else nothing after the cutoff is read.
        past_fill: how missing values of the past are filled from what is known at the
            cutoff: "linear" (between known values, the nearest one outside of them),
            "previous", "zero", "mean", "median", "min", "max", a number, or "none" to
            refuse them.
        future_fill: the same for the steps to forecast.
        notes: what a reader has to know of it, in sentences.
    """

    name: str
    times: TimeArray
    values: FloatArray
    issued: TimeArray | None = None
    future: bool = True
    past_fill: str | float = "linear"
    future_fill: str | float = "none"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        columns = _checked(self)
        keys = [columns[one] for one in ("issued", "times") if one in columns]
        order = np.lexsort(keys)
        sorted_keys = [key[order] for key in keys]
        repeats = np.logical_and.reduce([key[1:] == key[:-1] for key in sorted_keys])
        if repeats.any():
            time = columns["times"][order][repeats.argmax()]
            raise InvalidSeries(
                f"the covariate {self.name!r} has two values for {time}: keep one, or "
                "say when each of them was issued"
            )
        for name, column in columns.items():
            object.__setattr__(self, name, column[order])

    def known(self, cutoff_time: Any) -> _Known:
        """Return what can be read at a cutoff, one value for each time, ascending.

        Args:
            cutoff_time: UTC, datetime64.

        Returns:
            Times, shape (m,), datetime64[us], and values, shape (m,), no NaN.
        """
        end = self.times.size
        if not self.future:
            end = int(np.searchsorted(self.times, cutoff_time, side="right"))
        times, values = self.times[:end], self.values[:end]
        if self.issued is not None:
            readable = np.flatnonzero(self.issued[:end] <= cutoff_time)
            times, values = times[readable], values[readable]
            newest = np.ones(times.size, dtype=bool)
            newest[:-1] = times[1:] != times[:-1]
            times, values = times[newest], values[newest]
        there = ~np.isnan(values)
        return times[there], values[there]

    def aligned(
        self, *, grid_times: TimeArray, cutoff_time: Any, future_times: TimeArray
    ) -> Aligned:
        """Put the covariate beside one history; see ``align``."""
        known = self.known(cutoff_time)
        past, gaps = _at(grid_times, known)
        self._refuse_past(grid_times, gaps, known, cutoff_time)
        _fill(past, gaps, grid_times, known, self.past_fill)
        notes = self.notes + self._notes(gaps, "past", self.past_fill)
        ahead = np.full(future_times.shape, np.nan)
        if self.future:
            ahead, gaps = _at(future_times, known)
            self._refuse_ahead(future_times[gaps], known, cutoff_time)
            _fill(ahead, gaps, future_times, known, self.future_fill)
            notes += self._notes(gaps, "future", self.future_fill)
        return Aligned((self.name,), past[:, None], ahead[:, None], notes)

    def _refuse_past(
        self, times: TimeArray, gaps: BoolArray, known: _Known, cutoff_time: Any
    ) -> None:
        if not gaps.any():
            return
        if self.past_fill == "none":
            raise InvalidSeries(
                f"the covariate {self.name!r} has no value for {times[gaps.argmax()]}: "
                "send it, or name a rule for past_fill"
            )
        if stated_value(self.past_fill) is None and not known[0].size:
            raise InvalidSeries(
                f"nothing of the covariate {self.name!r} was known at {cutoff_time}: "
                "send earlier values, or leave it out"
            )
        if stated_value(self.past_fill) is None and gaps.all():
            raise InvalidSeries(
                f"the covariate {self.name!r} has no value at any of the {times.size} "
                f"times of the series up to {cutoff_time}: send values at those times"
            )

    def _refuse_ahead(
        self, missing: TimeArray, known: _Known, cutoff_time: Any
    ) -> None:
        unknown = not known[0].size and stated_value(self.future_fill) is None
        if missing.size and (self.future_fill == "none" or unknown):
            raise InvalidSeries(
                f"the covariate {self.name!r} has no value for {missing[0]} that was "
                f"known at {cutoff_time}: send values for the whole horizon, name a "
                "rule for future_fill, or declare it known for the past only"
            )

    def _notes(self, gaps: BoolArray, where: str, rule: str | float) -> tuple[str, ...]:
        if not gaps.any():
            return ()
        text = f"{int(gaps.sum())} of {gaps.size} {where} values of the covariate"
        return (f"{text} {self.name!r} were missing and filled: {rule}",)


@dataclass(frozen=True)
class Holidays:
    """The holidays of a country or a region, as covariates known ahead.

    Attributes:
        country: two letters, such as "DE".
        region: such as "BE"; None for the holidays of the whole country.
        timezone: the IANA name of the zone whose midnight divides the days.
    """

    country: str
    region: str | None = None
    timezone: str = "UTC"

    def aligned(
        self, *, grid_times: TimeArray, cutoff_time: Any, future_times: TimeArray
    ) -> Aligned:
        """Put the columns of ``holiday_columns`` beside one history; see ``align``."""
        del cutoff_time  # holidays are always known
        columns = holiday_columns(
            np.concatenate((grid_times, future_times)),
            country=self.country,
            region=self.region,
            timezone=self.timezone,
        )
        whole = np.column_stack(list(columns.values()))
        past, ahead = np.split(whole, [grid_times.size])
        return Aligned(tuple(columns), past, ahead, ())


AnyCovariate: TypeAlias = Covariate | Holidays


def align(
    covariates: Sequence[AnyCovariate],
    *,
    grid_times: TimeArray,
    cutoff_time: Any,
    future_times: TimeArray,
) -> Aligned:
    """Put covariates beside one history, as they were known at its cutoff.

    Args:
        covariates: the covariates; ``Holidays`` make several columns.
        grid_times: UTC times of the history up to the cutoff, shape (n,), ascending.
        cutoff_time: UTC, datetime64; what was issued later is not read, and of what is
            not known ahead, nothing that holds later.
        future_times: UTC times to forecast, shape (horizon,), ascending.

    Returns:
        Names (k), past (n, k) without NaN, future (horizon, k) and notes.

    Raises:
        InvalidSeries: a value ahead is missing and no rule fills it, nothing was known
            yet, or two columns have one name; the message names covariate and time.

    Example:
        >>> day = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[us]")
        >>> price = Covariate(name="price", times=day, values=np.array([3.0, 4.0]))
        >>> found = align(
        ...     [price], grid_times=day[:1], cutoff_time=day[0], future_times=day[1:]
        ... )
        >>> found.names, found.past.tolist(), found.future.tolist()
        (('price',), [[3.0]], [[4.0]])
    """
    found = [
        one.aligned(
            grid_times=grid_times, cutoff_time=cutoff_time, future_times=future_times
        )
        for one in covariates
    ]
    names = tuple(name for one in found for name in one.names)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"two covariates are called {twice!r}: give each a name of its own"
        raise InvalidSeries(msg)
    return Aligned(
        names,
        np.hstack([np.empty((grid_times.size, 0)), *(one.past for one in found)]),
        np.hstack([np.empty((future_times.size, 0)), *(one.future for one in found)]),
        tuple(note for one in found for note in one.notes),
    )


def _checked(given: Covariate) -> dict[str, Any]:
    columns = {
        "times": np.asarray(given.times).astype("datetime64[us]"),
        "values": np.array(given.values, dtype=np.float64),
    }
    if given.issued is not None:
        columns["issued"] = np.asarray(given.issued).astype("datetime64[us]")
    called = f"the covariate {given.name!r}"
    if any(
        one.ndim != 1 or one.shape != columns["times"].shape for one in columns.values()
    ):
        shapes = ", ".join(f"{one.shape} {name}" for name, one in columns.items())
        raise InvalidSeries(f"{called} has {shapes}: give one of each for every row")
    for name in ("times", "issued"):
        if name in columns and np.isnat(columns[name]).any():
            raise InvalidSeries(f"{called} misses one of its {name}: give one per row")
    large = np.abs(columns["values"]) > _VALUE_LIMIT
    if large.any():
        raise InvalidSeries(
            f"the value of {called} at {columns['times'][large][0]} is not finite or "
            f"above {_VALUE_LIMIT}: send NaN if it is missing, or use a larger unit"
        )
    for rule in (given.past_fill, given.future_fill):
        if rule not in FILLS if isinstance(rule, str) else not np.isfinite(rule):
            msg = f"{called} cannot be filled by {rule!r}: use a number or one of"
            raise InvalidSeries(f"{msg} {', '.join(FILLS)}")
    return columns


def _at(times: TimeArray, known: _Known) -> tuple[FloatArray, BoolArray]:
    """Read the known values at times; say where there is none."""
    found = np.full(times.shape, np.nan)
    if known[0].size:
        place = np.searchsorted(known[0], times).clip(max=known[0].size - 1)
        there = known[0][place] == times
        found[there] = known[1][place[there]]
    return found, np.isnan(found)


def _fill(
    column: FloatArray,
    gaps: BoolArray,
    times: TimeArray,
    known: _Known,
    rule: str | float,
) -> None:
    if not gaps.any():
        return
    stated = stated_value(rule)
    if stated is not None:
        column[gaps] = stated
    elif rule == "previous":
        place = np.searchsorted(known[0], times[gaps], side="right") - 1
        column[gaps] = known[1][place.clip(min=0)]
    elif rule == "linear":
        # Instants as numbers: covariates need not have the frequency of the series.
        wanted, given = (one.astype(np.int64) for one in (times[gaps], known[0]))
        column[gaps] = np.interp(wanted, given, known[1])
    else:
        column[gaps] = STATISTICS[str(rule)](known[1])
