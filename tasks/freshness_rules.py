"""By which rule a series is judged: its owner's, or its own rhythm."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache

from db.freshness import Judged
from tasks import connectors
from tasks.cron import BadRule
from tasks.freshness import Dues, IsOpen, Marks, Rule, due_times, held_against, marks

_DEFAULT_CRON = "0 * * * *"
_MARGIN = timedelta(hours=36)
"""Without a rule of the owner's: a night's run, and half a day for a bad one."""

_LONGEST_DELAY = 3
"""In gaps of the series: what was loaded years later is not due years later."""


def judged(
    found: Sequence[Judged], now: datetime
) -> tuple[list[tuple[Judged, str]], list[dict[str, str]]]:
    """Return what series are, and what is wrong with rules; their series stay."""
    states: list[tuple[Judged, str]] = []
    faults: dict[str, str] = {}

    @cache
    def due(rule: Rule, calendar: str | None) -> Dues:
        return due_times(rule, now=now, is_open=_open_days(calendar))

    @cache
    def wanted(rule: Rule, calendar: str | None) -> Marks:
        # Rules that differ in their reach alone share the due times, which cost most.
        dues = due(replace(rule, reach=timedelta(0)), calendar)
        return marks(rule, dues, is_open=_open_days(calendar))

    for one in found:
        try:
            state = held_against(one.latest, wanted(*_rule(one)))
        except BadRule as error:
            faults[one.source] = str(error)
        else:
            states.append((one, state))
    told = [{"source": name, "detail": detail} for name, detail in faults.items()]
    return states, told


def _rule(one: Judged) -> tuple[Rule, str | None]:
    given = one.expected
    if given is None:
        # In whole hours many series have one rule, which is then followed once.
        hours = math.ceil((_usual(one) + _MARGIN) / timedelta(hours=1))
        return Rule(_DEFAULT_CRON, reach=timedelta(hours=hours)), None
    reach_h, grace_s = given.get("reach_h"), given.get("grace_s")
    usual = Rule(given["cron"], given.get("timezone") or "UTC")
    rule = replace(
        usual,
        reach=usual.reach if reach_h is None else timedelta(hours=float(reach_h)),
        grace=usual.grace if grace_s is None else timedelta(seconds=float(grace_s)),
    )
    return rule, given.get("calendar")


def _usual(one: Judged) -> timedelta:
    """Return how old the latest value of a series gets while all is well.

    What its latest values show: how long each was waited for, and for the next one.
    """
    kind = connectors.spec_of(one.connector)
    gap, delay = one.gap or timedelta(0), one.delay or timedelta(0)
    waited = max(min(delay, _LONGEST_DELAY * gap), timedelta(0))
    return max(kind.lag if kind else timedelta(0), waited) + gap


def check_calendar(calendar: str) -> None:
    """Refuse a calendar that nobody keeps.

    Raises:
        BadRule: the message says which there are.
    """
    from forecasting import open_days
    from forecasting.errors import InvalidSeries

    try:
        open_days.check_calendar(calendar)
    except InvalidSeries as error:
        raise BadRule("calendar", str(error)) from error


@cache
def _open_days(calendar: str | None) -> IsOpen | None:
    """Return whether a day is open by a calendar; None where every day is.

    Raises:
        BadRule: nobody keeps that calendar.
    """
    if calendar is None:
        return None

    from forecasting.open_days import open_days

    check_calendar(calendar)

    @cache
    def is_open_on(day: date) -> bool:
        return len(open_days(calendar, first=str(day), final=str(day))) > 0

    return lambda at: is_open_on(at.date())
