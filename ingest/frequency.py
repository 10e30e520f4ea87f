"""The step between observations, from what people write: PT1H, 1h, 30min, 1d."""

import re
from datetime import timedelta

from ingest.errors import InvalidLayout

_SECONDS = {
    "s": 1,
    "min": 60,
    "t": 60,
    "h": 3_600,
    "d": 86_400,
    "w": 604_800,
}
_SHORT = re.compile(r"(\d{0,6})\s*(s|min|t|h|d|w)")
_ISO = re.compile(
    r"p(?:(\d{1,4})w)?(?:(\d{1,4})d)?(?:t(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?)?"
)


def parse_step(text: str) -> timedelta:
    """Return a fixed step; a day is a day of wall-clock time, not always 24 hours.

    Args:
        text: an ISO 8601 duration or a pandas offset of weeks, days, hours, minutes
            or seconds; months and years have no fixed length and are refused.

    Returns:
        The step, longer than zero.

    Raises:
        InvalidLayout: the text is not such a step, or the step is zero.

    Example:
        >>> parse_step("PT30M") == parse_step("30min")
        True
    """
    lowered = text.strip().lower()
    seconds = 0
    if short := _SHORT.fullmatch(lowered):
        seconds = int(short[1] or 1) * _SECONDS[short[2]]
    elif iso := _ISO.fullmatch(lowered):
        units = (604_800, 86_400, 3_600, 60, 1)
        pairs = zip(iso.groups(), units, strict=True)
        seconds = sum(int(count or 0) * unit for count, unit in pairs)
    if not seconds:
        message = f"{text!r} is not a step of fixed length: write PT1H, 1h, 30min or 1d"
        raise InvalidLayout(message)
    return timedelta(seconds=seconds)
