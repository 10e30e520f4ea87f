"""Between UTC times and what the clocks of a zone show."""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # 2.3 ships no types

from forecasting.arrays import TimeArray
from forecasting.errors import InvalidSeries


def local_times(times: TimeArray, *, timezone: str) -> TimeArray:
    """Tell what the clocks of a zone show at UTC times.

    Args:
        times: UTC, shape (n,), datetime64[us].
        timezone: an IANA name such as "Europe/Berlin".

    Returns:
        Local times, shape (n,), datetime64[us].

    Raises:
        InvalidSeries: the zone is not known.

    Example:
        >>> summer = np.array(["2024-07-01T22:00"], dtype="datetime64[us]")
        >>> local_times(summer, timezone="Europe/Berlin")
        array(['2024-07-02T00:00:00.000000'], dtype='datetime64[us]')
    """
    zone = _zone(timezone)
    shown = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(zone)
    return np.asarray(shown.tz_localize(None).to_numpy(), dtype="datetime64[us]")


def utc_times(local: TimeArray, *, timezone: str) -> TimeArray:
    """Tell when the clocks of a zone show the given times.

    A time that the clocks show twice is the first of the two; one that they skip is
    the instant at which they jump.

    Args:
        local: shape (n,), datetime64[us].
        timezone: an IANA name such as "Europe/Berlin".

    Returns:
        UTC times, shape (n,), datetime64[us].

    Raises:
        InvalidSeries: the zone is not known.

    Example:
        >>> autumn = np.array(["2024-10-27T02:30"], dtype="datetime64[us]")
        >>> utc_times(autumn, timezone="Europe/Berlin")
        array(['2024-10-27T00:30:00.000000'], dtype='datetime64[us]')
    """
    zone = _zone(timezone)
    first = np.ones(local.shape, dtype=bool)
    placed = pd.DatetimeIndex(local).tz_localize(
        zone, ambiguous=first, nonexistent="shift_forward"
    )
    utc = placed.tz_convert("UTC").tz_localize(None)
    return np.asarray(utc.to_numpy(), dtype="datetime64[us]")


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidSeries(
            f"no time zone is called {timezone!r}: use a name such as Europe/Berlin"
        ) from error
