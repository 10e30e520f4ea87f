"""When and how a stream finds the season of its series by itself."""

import numpy as np

from analysis.pace import Pace
from analysis.past import Past
from analysis.seasons import find_seasons

# Counts at which the season is looked for: this, doubled until the last, and every
# so many after that.
_FIRST, _EVERY = 100, 12_800
# Steps of the longest cycle whose repetitions a state holds, and of a day that is
# tried before any cycle was seen.
_LONGEST, _LONGEST_DAY, _SHORTEST_DAY = 2016, 1440, 4
_DAY_S = 86_400.0


def review_due(count: int) -> bool:
    """Say whether a stream that has seen so many steps looks for its season.

    Example:
        >>> [count for count in range(1, 1000) if review_due(count)]
        [100, 200, 400, 800]
    """
    if count % _FIRST:
        return False
    if count >= _EVERY:
        return count % _EVERY == 0
    times = count // _FIRST
    return times > 0 and times & (times - 1) == 0


def first_season(step_s: float) -> int:
    """Return the steps of a day, which most series know; 1 where that is no cycle.

    Example:
        >>> first_season(3600.0), first_season(86_400.0), first_season(7000.0)
        (24, 1, 1)
    """
    steps = _DAY_S / step_s
    if not _SHORTEST_DAY <= steps <= _LONGEST_DAY or steps % 1:
        return 1
    return int(steps)


def season_of(past: Past, *, pace: Pace, place: int) -> int:
    """Return the longest cycle that the remembered values show; 0 for none.

    Args:
        past: What is remembered.
        pace: Steps of the series.
        place: The newest step, in microseconds since 1970.
    """
    values = np.array(past.latest(), dtype=np.float64)
    if np.isfinite(values).sum() < _FIRST // 2:
        return 0
    times = pace.until(place, count=len(values))
    seasons = find_seasons(values, times=times)
    return max((one for one in seasons if one <= _LONGEST), default=0)
