"""Explanations in words: the reading, what was expected, the bound, the time."""

from dataclasses import dataclass

import numpy as np

from analysis.kinds import Decision

# Below this share of the spread of the series, "per cent of the expected" misleads.
_NEAR_ZERO = 0.05
# Longer numbers are written as a power of ten.
_HUGE, _MOST_DECIMALS = 1e15, 12
_KINDS = {
    "level_shift": "the level moved and stayed",
    "pattern_break": "the usual pattern was left",
}


@dataclass(frozen=True)
class Reading:
    """One value with what was expected of it; `spread` is the range of the series."""

    time: np.datetime64
    value: float
    expected: float
    bound: float
    spread: float
    unit: str = ""


def show_time(time: np.datetime64) -> str:
    """Write a UTC time as short as it can be without loss.

    Example:
        >>> show_time(np.datetime64("2018-07-04T17:00:00", "us"))
        '2018-07-04 17:00 UTC'
    """
    text = str(time.astype("datetime64[us]")).replace("T", " ")
    date, clock = text.split(" ")
    clock = clock.removesuffix(".000000").removesuffix(":00")
    return f"{date} {clock} UTC"


def show_number(number: float, *, spread: float) -> str:
    """Write a number as finely as the range of the series deserves.

    Example:
        >>> show_number(15210.4, spread=9000.0), show_number(0.12347, spread=0.5)
        ('15,210', '0.1235')
        >>> show_number(-1.5e-20, spread=2e-20), show_number(6.02214e23, spread=1e23)
        ('-1.500e-20', '6.022e+23')
    """
    size = max(abs(spread), abs(number) / 1e6) or abs(number)
    if not size:
        return "0"
    decimals = 3 - int(np.floor(np.log10(size)))
    if abs(number) >= _HUGE or decimals > _MOST_DECIMALS:
        return _as_power(number, decimals=decimals)
    text = f"{number:,.{max(decimals, 0)}f}"
    return text if float(text.replace(",", "")) else text.removeprefix("-")


def with_unit(number: str, *, unit: str) -> str:
    """Write a number with its unit, where it has one.

    Example:
        >>> with_unit("15,210", unit="MW"), with_unit("15,210", unit="")
        ('15,210 MW', '15,210')
    """
    return f"{number} {unit}".rstrip()


def _as_power(number: float, *, decimals: int) -> str:
    digits = decimals + int(np.floor(np.log10(abs(number)))) if number else -1
    # Beyond seventeen digits nothing is known of a number.
    return f"{number:.{min(digits, 16)}e}" if digits >= 0 else "0"


def explain_reading(reading: Reading) -> str:
    """Say how far a value is from the expected one, and which bound it crossed.

    Example:
        >>> time = np.datetime64("2018-07-04T17:00")
        >>> explain_reading(Reading(time, 15210, 18540, 16900, 9000))
        'Value 15,210 at 2018-07-04 17:00 UTC is 18 % below the expected 18,540 (lower bound 16,900)'
    """  # noqa: E501 - one sentence
    value, expected, bound, difference = (
        with_unit(show_number(number, spread=reading.spread), unit=reading.unit)
        for number in (
            reading.value,
            reading.expected,
            reading.bound,
            abs(reading.value - reading.expected),
        )
    )
    above = reading.value > reading.expected
    same_sign = reading.value * reading.expected > 0
    if same_sign and abs(reading.expected) > _NEAR_ZERO * reading.spread:
        percent = 100 * abs(reading.value / reading.expected - 1)
        difference = f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"  # noqa: PLR2004 - two digits either way
    return (
        f"Value {value} at {show_time(reading.time)} is {difference} "
        f"{'above' if above else 'below'} the expected {expected} "
        f"({'upper' if above else 'lower'} bound {bound})"
    )


def explain_kind(
    kind: str, *, start: np.datetime64, last: np.datetime64, outside: int, count: int
) -> str:
    """Say how long it lasted and what it looks like; nothing for a single point.

    Example:
        >>> day = np.datetime64("2024-01-01")
        >>> explain_kind("level_shift", start=day, last=day + 8, outside=7, count=9)
        '; the level moved and stayed, 7 of 9 points from 2024-01-01 00:00 UTC to 2024-01-09 00:00 UTC are outside the bounds'
    """  # noqa: E501 - one sentence
    if count == 1:
        return ""
    what = f"{_KINDS[kind]}, " if kind in _KINDS else ""
    return (
        f"; {what}{outside} of {count} points from {show_time(start)} to "
        f"{show_time(last)} are outside the bounds"
    )


# How a rule says what it read and what that was compared with.
_WHY = {
    "returned": "back after {reading}, at most {threshold} count as short",
    "kept": "{reading} of the change is left afterwards, {threshold} counts as lasting",
    "two_sided": "{reading} of it on the lesser side, {threshold} counts as both sides",
    "stayed": "a change of {reading}, chance makes up to {threshold}",
    "bent": "a change of {reading}, chance makes up to {threshold}",
    "spread": "{reading} as wide, {threshold} counts as changed",
}


def explain_why(decision: Decision, *, unit: str = "") -> str:
    """Say what decided the kind; nothing where the sentence before said it.

    Example:
        >>> explain_why(Decision("spike", "returned", 2.0, 6.0, "steps"))
        ' (back after 2 steps, at most 6 steps count as short)'
    """
    if decision.rule not in _WHY:
        return ""
    reading, threshold = (
        _measured(number, unit=decision.unit or unit)
        for number in (decision.reading, decision.threshold)
    )
    text = _WHY[decision.rule].format(reading=reading, threshold=threshold)
    return f" ({text})"


def _measured(number: float, *, unit: str) -> str:
    if unit == "share":
        return f"{100 * number:.0f} %"
    if unit == "steps":
        return f"{number:.0f} step{'s' if number != 1 else ''}"
    return f"{number:.3g} {unit}".rstrip()


def explain_scattered(
    start: np.datetime64, last: np.datetime64, *, shares: tuple[float, float]
) -> str:
    """Say how much more is missing than usual.

    Example:
        >>> day = np.datetime64("2024-01-01")
        >>> explain_scattered(day, day + 2, shares=(0.02, 0.4))
        '40 % of the points from 2024-01-01 00:00 UTC to 2024-01-03 00:00 UTC are missing; usual are 2 %'
    """  # noqa: E501 - one sentence
    usual, share = (f"{100 * share:.0f} %" for share in shares)
    return (
        f"{share} of the points from {show_time(start)} to {show_time(last)} are "
        f"missing; usual are {usual}"
    )


def explain_gap(start: np.datetime64, last: np.datetime64, *, count: int) -> str:
    """Say which points are missing."""
    if count == 1:
        return f"No value at {show_time(start)}"
    return f"No value at {count} points from {show_time(start)} to {show_time(last)}"


def explain_flatline(
    start: np.datetime64,
    last: np.datetime64,
    *,
    count: int,
    value: float,
    unit: str = "",
) -> str:
    """Say which value repeated, and for how long."""
    number = with_unit(show_number(value, spread=abs(value)), unit=unit)
    return (
        f"Value {number} repeated exactly {count} times from {show_time(start)} to "
        f"{show_time(last)}, far longer than usual for this series"
    )


def explain_stretch(
    kind: str,
    *,
    pair: tuple[float, float],
    start: np.datetime64,
    last: np.datetime64,
    spread: float,
    unit: str = "",
) -> str:
    """Say from what to what a stretch went, and when.

    Example:
        >>> day = np.datetime64("2024-01-01")
        >>> explain_stretch("dip", pair=(9.0, 4.0), start=day, last=day + 2, spread=9.0)
        'The level fell from 9.000 to 4.000 from 2024-01-01 00:00 UTC to 2024-01-03 00:00 UTC and came back'
    """  # noqa: E501 - one sentence
    before, during = (show_number(number, spread=spread) for number in pair)
    since, until = show_time(start), show_time(last)
    if kind == "trend_change":
        # A slope is small beside the range: its own size says how finely.
        size = max(abs(number) for number in pair)
        before, during = (show_number(number, spread=size) for number in pair)
        during = with_unit(during, unit=unit)
        return f"The slope turned from {before} to {during} a step at {since}"
    if kind == "variance_change":
        return (
            f"The points began at {since} to stray {pair[1] / pair[0]:.2g} times as far"
        )
    moved = "rose" if pair[1] > pair[0] else "fell"
    text = f"The level {moved} from {before} to {with_unit(during, unit=unit)}"
    if kind == "level_shift":
        return f"{text} at {since} and stayed"
    return f"{text} from {since} to {until} and came back"
