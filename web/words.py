"""Steps, sizes and numbers as people read them; for the pages of the console."""

import math
import re
from collections.abc import Mapping
from typing import Any

from flask import Flask

_BYTES = ("bytes", "KiB", "MiB", "GiB", "TiB")
_THOUSAND = 1_024
_DIGITS = 5
_MOST_DECIMALS = 12

_OFFSET = re.compile(r"(\d*)(s|min|h|H|d|D|B(?!M)|W|B?M|Q|Y)(?:-[A-Z]{3}|[SE])?")
_DURATION = re.compile(
    r"P(?:(\d+)Y|(\d+)M|(\d+)W|(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?)"
)
_OFFSETS = {
    "s": "second",
    "min": "minute",
    "h": "hour",
    "H": "hour",
    "d": "day",
    "D": "day",
    "B": "working day",
    "W": "week",
    "M": "month",
    "BM": "month",
    "Q": "quarter",
    "Y": "year",
}
_PARTS = ("year", "month", "week", "day", "hour", "minute", "second")


def step(text: str | None) -> str:
    """Return the step of a series in words, however it was written.

    Example:
        >>> step("1h"), step("PT1H"), step("P1D"), step("15min"), step("MS")
        ('1 hour', '1 hour', '1 day', '15 minutes', '1 month')
    """
    if not text:
        return ""
    if found := _OFFSET.fullmatch(text):
        return _counted(int(found[1] or 1), _OFFSETS[found[2]])
    if found := _DURATION.fullmatch(text):
        parts = zip(found.groups(), _PARTS, strict=True)
        return " ".join(_counted(int(count), name) for count, name in parts if count)
    return text


def size(count: int) -> str:
    """Return a number of bytes in the unit that makes it short.

    Example:
        >>> size(980), size(272_384), size(5 * 1024**3)
        ('980 bytes', '266 KiB', '5.0 GiB')
    """
    power = 0
    left = float(count)
    while left >= _THOUSAND and power < len(_BYTES) - 1:
        left /= _THOUSAND
        power += 1
    decimals = 1 if power and left < 10 else 0  # noqa: PLR2004 - one digit before it
    return f"{left:,.{decimals}f} {_BYTES[power]}"


def progress(told: Mapping[str, Any] | None) -> str:
    """Return how far a job has come.

    Example:
        >>> progress({"done": 3, "total": 7, "unit": "series"})
        '3 of 7 series'
    """
    if not told:
        return ""
    done, total, unit = told["done"], told["total"], told["unit"]
    if unit == "bytes":
        return size(total) if done == total else f"{size(done)} of {size(total)}"
    return f"{done:,} of {total:,} {unit}"


def number(value: float | None) -> str:
    """Return a number with thousands marked and five digits that count.

    Example:
        >>> number(15210.44), number(0.123456), number(7), number(None)
        ('15,210', '0.12346', '7', 'n/a')
    """
    if value is None:
        return "n/a"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{decimals(value)}f}"


def decimals(value: float) -> int:
    """Return how many decimals show five digits of a number of this size."""
    if not value or not math.isfinite(value):
        return 0
    return min(max(_DIGITS - 1 - math.floor(math.log10(abs(value))), 0), _MOST_DECIMALS)


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def register_words(app: Flask) -> None:
    """Let templates say them."""
    app.add_template_filter(step, "step")
    app.add_template_filter(progress, "progress")
    app.add_template_filter(number, "number")
