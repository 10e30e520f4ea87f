"""How far the clock of a place is ahead of UTC, in steps of a series."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.datetime64]

_HOUR_S, _SECOND_US = 3600.0, 1_000_000
# Steps that are looked at in one go.
_AT_ONCE = 250_000


def clock_steps(time: np.datetime64, *, zone: ZoneInfo, step_s: float) -> int:
    """Return the offset of the clock in whole steps; 0 for steps above an hour.

    Example:
        >>> berlin = ZoneInfo("Europe/Berlin")
        >>> summer = np.datetime64("2024-07-01T12:00")
        >>> clock_steps(summer, zone=berlin, step_s=1800.0)
        4
    """
    if step_s > _HOUR_S:
        return 0
    seconds = int(time.astype("datetime64[s]").astype(np.int64))
    # Times that no clock knows (before 1 or after 9999) keep UTC.
    if not -62_135_596_800 <= seconds < 253_402_300_800 - 86_400:  # noqa: PLR2004
        return 0
    offset = datetime.fromtimestamp(seconds, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() / step_s)


def all_clock_steps(
    times: Times, *, zone: ZoneInfo, step_s: float
) -> NDArray[np.int64]:
    """Return the offset of the clock at each time, shape (n,).

    Offsets change at full quarters of an hour, so one look for each is enough.
    """
    quarters = times.astype("datetime64[s]").astype(np.int64) // 900
    distinct, places = np.unique(quarters, return_inverse=True)
    # Looking at one quarter in 96 and only between two that differ keeps this short.
    found = np.empty(len(distinct), dtype=np.int64)
    _fill(found, distinct, (0, len(distinct) - 1), zone=zone, step_s=step_s)
    return np.asarray(found[places])


def clock_changes(
    steps: tuple[int, int, int], *, zone: ZoneInfo, step_s: float
) -> Iterator[tuple[int, int]]:
    """Yield at which of some steps the offset of the clock is another, and which.

    Args:
        steps: The first in microseconds since 1970, from one to the next, how many.
        zone: Of the clock.
        step_s: Seconds of a step.

    Example:
        >>> first = int(np.datetime64("2024-03-31", "us").astype(np.int64))
        >>> berlin = ZoneInfo("Europe/Berlin")
        >>> list(clock_changes((first, 3_600_000_000, 9), zone=berlin, step_s=3600.0))
        [(0, 1), (1, 2)]
    """
    first, step, count = steps
    last = None
    for start in range(0, count, _AT_ONCE):
        places = np.arange(start, min(count, start + _AT_ONCE))
        times = (first + step * places).astype("datetime64[us]")
        ahead = all_clock_steps(times, zone=zone, step_s=step_s)
        for at in np.flatnonzero(np.diff(ahead, prepend=ahead[0] - 1)).tolist():
            if ahead[at] != last:
                last = int(ahead[at])
                yield start + at, last


def _fill(
    found: NDArray[np.int64],
    quarters: NDArray[np.int64],
    ends: tuple[int, int],
    *,
    zone: ZoneInfo,
    step_s: float,
) -> None:
    """Fill both ends and what is between, splitting only where they may differ."""

    def at(place: int) -> int:
        time = (quarters[place] * 900).astype("datetime64[s]")
        return clock_steps(time, zone=zone, step_s=step_s)

    todo = [ends]
    while todo:
        low, high = todo.pop()
        found[low], found[high] = at(low), at(high)
        # No place changes its clock twice within twenty days.
        near = quarters[high] - quarters[low] <= 20 * 96
        if near and found[low] == found[high]:
            found[low : high + 1] = found[low]
        elif high - low > 1:
            middle = (low + high) // 2
            todo += [(low, middle), (middle, high)]
