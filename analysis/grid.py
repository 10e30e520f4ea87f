"""Putting a series on its regular grid, and refusing what cannot be put there."""

import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # ships no type information
from numpy.typing import NDArray

from analysis.records import InvalidOptions, InvalidSeries

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

# 50 years of minutes would be 26 million; a stray early time must not fill memory.
_MOST_STEPS = 5_000_000
# The squares of larger values, and their sums, are no numbers any more.
_LARGEST = 1e150
# Times at the beginning one of which is believed to be a step.
_ANCHORS = 5
_MONTHS = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?")


@dataclass(frozen=True)
class Grid:
    """A series with every step present.

    Attributes:
        times: (n,) UTC, microseconds.
        values: (n,) NaN where missing.
        after: The step after the last.
    """

    times: Times
    values: Floats
    after: np.datetime64


def put_on_grid(values: Floats, *, times: Times, frequency: str) -> Grid:
    """Fill the steps that are not there with NaN.

    Args:
        values: (n,) any unit; NaN is missing, infinite and beyond 1e150 are refused.
        times: (n,) UTC, rising strictly, each on the grid of the first one.
        frequency: Pandas offset or ISO 8601 duration.

    Returns:
        The grid from the first time to the last; the arrays are copies.

    Raises:
        InvalidSeries: The series is empty, all missing, infinite, unsorted, has a
            time twice or off the grid, or would fill an absurd number of steps.

    Example:
        >>> days = np.array(["2024-01-01", "2024-01-03"], dtype="datetime64[D]")
        >>> put_on_grid(np.array([1.0, 2.0]), times=days, frequency="D").values
        array([ 1., nan,  2.])
    """
    values, times = _checked(values, times)
    offset = offset_of(frequency)
    steps = _steps(times, offset=offset, frequency=frequency)
    places = np.searchsorted(steps, times)
    found = steps[np.minimum(places, len(steps) - 1)] == times
    if not found.all():
        stray = times[int(np.argmin(found))]
        msg = (
            f"{stray} is not a step of {frequency!r} counted from {times[0]}; give "
            "the frequency the times really have, or resample the series first"
        )
        raise InvalidSeries(msg)
    filled = np.full(len(steps), np.nan)
    filled[places] = values
    after = np.datetime64((pd.Timestamp(steps[-1]) + offset).to_datetime64(), "us")
    return Grid(times=steps, values=filled, after=after)


def on_grid(times: Times, *, frequency: str) -> NDArray[np.bool_]:
    """Say which times are steps of the grid that most of them share.

    Args:
        times: (n,) UTC, rising strictly.
        frequency: Pandas offset or ISO 8601 duration.

    Returns:
        (n,) False for times between the steps.

    Raises:
        InvalidOptions: The frequency is not known.

    Example:
        >>> times = np.array(["2024-01-01T07:03", "2024-01-01T08", "2024-01-01T10"])
        >>> on_grid(times.astype("datetime64[us]"), frequency="1h")
        array([False,  True,  True])
    """
    offset = offset_of(frequency)
    if isinstance(offset, pd.tseries.offsets.Tick):
        step_us = max(offset.nanos // 1_000, 1)
        phases = times.astype("datetime64[us]").astype(np.int64) % step_us
        _, places, counts = np.unique(phases, return_inverse=True, return_counts=True)
        return np.asarray(places == np.argmax(counts))
    best = np.zeros(len(times), dtype=np.bool_)
    # A calendar is counted from a time of its own: one of the first is taken as right.
    for first in range(min(_ANCHORS, len(times))):
        steps = _steps(times[first:], offset=offset, frequency=frequency)
        fitting = np.isin(times, steps)
        if fitting.sum() > best.sum():
            best = fitting
    return best


def _checked(values: Floats, times: Times) -> tuple[Floats, Times]:
    values = np.asarray(values, dtype=np.float64)
    times = np.asarray(times).astype("datetime64[us]")
    problem = None
    if values.ndim != 1 or values.shape != times.shape:
        problem = f"{values.shape} values and {times.shape} times; give one time each"
    elif not len(values):
        problem = "the series is empty; give at least one observation"
    elif (np.abs(values) > _LARGEST).any():
        stray = times[np.argmax(np.abs(values) > _LARGEST)]
        problem = f"the value at {stray} is infinite, or beyond {_LARGEST:g}, which is"
        problem += " no better; send it as missing"
    elif np.isnan(values).all():
        problem = "every value is missing; give at least one observation"
    elif np.isnat(times).any():
        problem = "a time is missing; drop that observation"
    elif (np.diff(times) <= np.timedelta64(0)).any():
        where = int(np.argmax(np.diff(times) <= np.timedelta64(0)))
        problem = f"{times[where + 1]} follows {times[where]}; sort the times and"
        problem += " keep one observation for each"
    if problem:
        raise InvalidSeries(problem)
    return values, times


def offset_of(frequency: str) -> pd.DateOffset:
    """Return the step of a frequency.

    Raises:
        InvalidOptions: It is not known, or does not lead forward.
    """
    months = _MONTHS.fullmatch(frequency)
    try:
        if months and frequency != "P":
            years, rest = (int(part or 0) for part in months.groups())
            offset = pd.DateOffset(months=12 * years + rest)
        elif frequency.startswith("P"):
            offset = pd.tseries.frequencies.to_offset(pd.Timedelta(frequency))
        else:
            offset = _alias(frequency)
        forward = pd.Timestamp(0) + offset > pd.Timestamp(0)
    except ValueError as error:
        msg = f"frequency is {frequency!r}; give a step such as '1h', 'D' or 'PT15M'"
        raise InvalidOptions(msg) from error
    if not forward:
        msg = f"frequency is {frequency!r}; a step must lead forward"
        raise InvalidOptions(msg)
    return offset


def _alias(frequency: str) -> pd.DateOffset:
    with warnings.catch_warnings():
        # Old spellings ("H", "T") are still sent by clients and mean what they did.
        warnings.simplefilter("ignore", FutureWarning)
        return pd.tseries.frequencies.to_offset(frequency)


def _steps(times: Times, *, offset: pd.DateOffset, frequency: str) -> Times:
    shortest = pd.Timestamp(times[0]) + offset - pd.Timestamp(times[0])
    span = pd.Timestamp(times[-1]) - pd.Timestamp(times[0])
    if span / shortest > _MOST_STEPS:
        msg = (
            f"{times[0]} to {times[-1]} is more than {_MOST_STEPS:,} steps of "
            f"{frequency!r}; check the first and the last time, or the frequency"
        )
        raise InvalidSeries(msg)
    try:
        # In microseconds: nanoseconds know no year before 1678 nor after 2261.
        steps = pd.date_range(times[0], times[-1], freq=offset, unit="us")
    except ValueError as error:
        msg = f"frequency is {frequency!r}; a step is a microsecond or longer"
        raise InvalidOptions(msg) from error
    if not len(steps):
        steps = pd.DatetimeIndex([times[0]])
    return np.asarray(steps.to_numpy().astype("datetime64[us]"))
