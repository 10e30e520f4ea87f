"""Numbers and dates as Indian publications write them, as plain ISO texts."""

import re
from typing import Any

_INDIAN = re.compile(r"[+-]?\d{1,2}(,\d{2})*,\d{3}(\.\d+)?")
_WESTERN = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_FISCAL = re.compile(r"(\d{4})\s*[-/\u2013]\s*(\d{4}|\d{2})")
_YEAR = re.compile(r"(\d{4})(\.0+)?")
_MONTH_YEAR = re.compile(r"([A-Za-z]+)[\s,'.-]+(\d{4}|\d{2})")
_DAY_FIRST = re.compile(r"(\d{1,2})[-/. ](\d{1,2}|[A-Za-z]+)[-/. ](\d{4}|\d{2})")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_SHORTEST = 3  # letters of a month
_APRIL = 4
"""The month in which a fiscal year begins."""


def ungrouped(text: str) -> str:
    """Return a number without the commas between its groups, any other text as it is.

    Example:
        >>> ungrouped("28,197"), ungrouped("1,23,456.5"), ungrouped("1,5")
        ('28197', '123456.5', '1,5')
    """
    grouped = _INDIAN.fullmatch(text) or _WESTERN.fullmatch(text)
    return text.replace(",", "") if grouped else text


def month_of(text: str) -> int | None:
    """Return the number of a month, or None.

    Example:
        >>> month_of("April"), month_of("Sept"), month_of("07"), month_of("Total")
        (4, 9, 7, None)
    """
    word = text.strip().rstrip(".").lower()
    if len(word) < _SHORTEST:
        number = int(word) if word.isdecimal() else 0
        return number if 1 <= number <= len(_MONTHS) else None
    found = [n for n, name in enumerate(_MONTHS, 1) if name.startswith(word)]
    return found[0] if found else None


def period(year: str, month: str | None) -> str | None:
    """Return the first day of a month or year, or None where the texts name none.

    Args:
        year: a calendar year, or a fiscal one such as ``2023-24``, from April on. With
            None for the month, the first day of that year.
        month: a name or number; may bring its own year if ``year`` is empty.

    Example:
        >>> period("2023", "April"), period("2023-24", "March"), period("2023-24", None)
        ('2023-04-01', '2024-03-01', '2023-04-01')
        >>> period("", "Apr-23"), period("2023-25", "May"), period("2023", "Total")
        ('2023-04-01', None, None)
    """
    if month is not None and not year.strip():
        found = _MONTH_YEAR.fullmatch(month.strip())
        if found is None:
            return None
        month, year = found[1], _full(found[2])
    number = None if month is None else month_of(month)
    if month is not None and number is None:
        return None
    first = _calendar_year(year.strip(), number)
    if first is None:
        return None
    begins = _APRIL if _FISCAL.fullmatch(year.strip()) else 1
    return f"{first}-{number or begins:02d}-01"


def day_first(text: str) -> str:
    """Return a date that is written from day to year as ISO, any other text as it is.

    Example:
        >>> day_first("05/04/2023"), day_first("5-Apr-23"), day_first("2023-04-05")
        ('2023-04-05', '2023-04-05', '2023-04-05')
    """
    found = _DAY_FIRST.fullmatch(text.strip())
    month = month_of(found[2]) if found else None
    if found is None or month is None:
        return text
    return f"{_full(found[3])}-{month:02d}-{int(found[1]):02d}"


def plain(cell: Any) -> str:
    """Return a cell as text without blanks around it; "" for none.

    Example:
        >>> plain(" NA "), plain(None), plain(2.0)
        ('NA', '', '2.0')
    """
    if cell is None:
        return ""
    # JSON can write half a character, which no other text format can hold.
    return str(cell).encode(errors="replace").decode().replace("\xa0", " ").strip()


def _calendar_year(text: str, month: int | None) -> str | None:
    if found := _YEAR.fullmatch(text):
        return found[1]
    fiscal = _FISCAL.fullmatch(text)
    if fiscal is None:
        return None
    first = int(fiscal[1])
    if (first + 1) % 100 != int(fiscal[2]) % 100:
        return None
    return f"{first + (month is not None and month < _APRIL):04d}"


def _full(year: str) -> str:
    return year if len(year) > 2 else f"20{year}"  # noqa: PLR2004 - two digits
