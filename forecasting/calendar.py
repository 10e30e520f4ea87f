"""Where in the day, the week and the year a time lies, as numbers a tree can split."""

import numpy as np

from forecasting.arrays import FloatArray, TimeArray

_HOUR = np.timedelta64(1, "h")
# The epoch, 1970-01-01, was a Thursday; Monday is day 0.
_EPOCH_WEEKDAY = 3
CALENDAR = ("hour", "weekday", "hour of week", "day of month", "day of year", "month")


def calendar_columns(times: TimeArray) -> FloatArray:
    """Place each time in the calendar.

    Args:
        times: UTC, shape (n,), datetime64[us].

    Returns:
        Shape (n, 6), in the order of ``CALENDAR``: hours since midnight, days since
        Monday, hours since Monday, days since the first of the month, days since the
        first of January, months since January.

    Example:
        >>> calendar_columns(np.array(["2024-02-06T06"], dtype="datetime64[us]"))[0]
        array([ 6.,  1., 30.,  5., 36.,  1.])
    """
    days = times.astype("datetime64[D]")
    months = times.astype("datetime64[M]")
    hour = (times - days) / _HOUR
    weekday = (days.astype(np.int64) + _EPOCH_WEEKDAY) % 7
    parts = [
        hour,
        weekday,
        24 * weekday + hour,
        (days - months.astype("datetime64[D]")).astype(np.int64),
        (days - times.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64),
        months.astype(np.int64) % 12,
    ]
    return np.column_stack([np.asarray(part, dtype=np.float64) for part in parts])
