"""The grid of a series: its step, the edges of its intervals, its local dates."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ingest.errors import InvalidLayout

_DAY_US = 86_400_000_000
_PUT_US = 7_200_000_000
"""By so much the clock of a place is put at most."""

_MOST_EDGES = 2_000_000


def usual_step(times: NDArray[np.datetime64]) -> int | None:
    """Return the most common step in microseconds, the shorter of two; None of none.

    Days that a clock makes longer or shorter are whole days.

    Args:
        times: shape (n,), microseconds, ascending, each once.

    Example:
        >>> usual_step(np.array(["2026-03-02", "2026-03-03", "2026-03-05"], "M8[us]"))
        86400000000
    """
    if len(times) < 2:  # noqa: PLR2004 - a step needs two ends
        return None
    steps, counts = np.unique(np.diff(times).astype(np.int64), return_counts=True)
    step = int(steps[np.argmax(counts)])
    days = round(step / _DAY_US) * _DAY_US
    return days if days and abs(step - days) <= _PUT_US else step


def edges_of(
    times: NDArray[np.datetime64],
    *,
    step_us: int,
    timezone: str,
    cover: tuple[Any, Any],
) -> NDArray[np.datetime64]:
    """Return the edges of the intervals that times begin, and of those around them.

    A step of whole days is a step of the zone's days where the times say so: a day of
    23 or 25 hours is one interval.

    Args:
        times: shape (n,), UTC, microseconds, ascending; each begins an interval.
        step_us: the length of an interval.
        timezone: whose days are meant.
        cover: the first and the last instant that must lie between the edges.

    Returns:
        Shape (m,), UTC, microseconds, ascending; an interval ends where the next
        begins.

    Raises:
        InvalidLayout: the times are on no such grid, or there are too many intervals.
    """
    first, last = min(times[0], cover[0]), max(times[-1], cover[1])
    if (last - first).astype(np.int64) // step_us > _MOST_EDGES:
        raise InvalidLayout("there are too many intervals: compare a shorter stretch")
    step = np.timedelta64(step_us, "us")
    if not np.any((times - times[0]) % step):
        return _steady(times[0], step, first, last)
    if step_us % _DAY_US == 0:
        wall = on_the_wall(times, timezone=timezone)
        if not np.any((wall - wall[0]) % step):
            # A day more on both sides, as a zone's clock is at most that far from UTC.
            day = np.timedelta64(_DAY_US, "us")
            walls = _steady(wall[0], step, first - day, last + day)
            return np.array(
                [_instant(one, ZoneInfo(timezone)) for one in walls.tolist()], "M8[us]"
            )
    raise InvalidLayout(
        "the coarser series is not on a steady grid, in UTC or in its own time zone: "
        "compare times with align exact, or days with align date"
    )


def local_dates(
    times: NDArray[np.datetime64], *, timezone: str
) -> NDArray[np.datetime64]:
    """Return the dates that a zone has at instants, shape (n,), datetime64[D].

    Example:
        >>> late = np.array(["2026-03-02T23:30"], "M8[us]")
        >>> str(local_dates(late, timezone="Europe/Berlin")[0])
        '2026-03-03'
    """
    return on_the_wall(times, timezone=timezone).astype("M8[D]")


def on_the_wall(
    times: NDArray[np.datetime64], *, timezone: str
) -> NDArray[np.datetime64]:
    """Return what a zone's clock shows at UTC instants, shape (n,), microseconds."""
    zone = ZoneInfo(timezone)
    shown = [
        at.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
        for at in times.astype("M8[us]").tolist()
    ]
    return np.array(shown, "M8[us]")


def _steady(anchor: Any, step: Any, first: Any, last: Any) -> NDArray[np.datetime64]:
    """Return a grid through ``anchor`` from at most ``first`` to beyond ``last``."""
    grid: NDArray[np.datetime64] = anchor + step * np.arange(
        (first - anchor) // step, (last - anchor) // step + 2
    )
    return grid


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when a clock shows a time; where it jumps over it, when it has jumped."""
    return wall.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
