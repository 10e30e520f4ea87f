"""Two series side by side: differences, what one side lacks, grids that differ."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import InvalidLayout
from ingest.reconcile import Limit, Side, compare, relative_difference

HOUR, QUARTER, DAY = timedelta(hours=1), timedelta(minutes=15), timedelta(days=1)
START = datetime.fromisoformat("2026-03-02")
NEW_YORK = "America/New_York"

numbers = st.floats(-1e9, 1e9, allow_nan=False)
points = st.dictionaries(st.integers(0, 40), numbers, max_size=30)


def side(values, *, start=START, step=HOUR, timezone="UTC") -> Side:
    """A series of values one step apart; None leaves a time out."""
    kept = [
        (start + at * step, one) for at, one in enumerate(values) if one is not None
    ]
    return Side(
        np.array([at for at, _ in kept], "M8[us]"),
        np.array([one for _, one in kept], np.float64),
        timezone,
    )


def local_days(first: datetime, values, *, timezone=NEW_YORK) -> Side:
    """A daily series whose days begin at midnight of a place."""
    zone = ZoneInfo(timezone)
    times = [
        (first + n * DAY).replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
        for n in range(len(values))
    ]
    return Side(np.array(times, "M8[us]"), np.array(values, np.float64), timezone)


def only(found) -> tuple[int, int]:
    return int(np.isnan(found.other).sum()), int(np.isnan(found.preferred).sum())


@pytest.mark.parametrize(
    ("a", "b", "difference"),
    [
        (100, 95, 0.05),
        (95, 100, 0.05),
        (-100, -95, 0.05),
        (0, 0, 0),
        (0, 5, 1),
        (-5, 5, 2),
        (10, -30, 4 / 3),
        (1e308, -1e308, 2),
        (5e-324, 0, 1),
        (math.nan, 1, math.nan),
    ],
)
def test_the_difference_is_a_share_of_the_larger_magnitude(a, b, difference):
    found = relative_difference(np.array([float(a)]), np.array([float(b)]))
    assert found[0] == pytest.approx(difference, nan_ok=True)


@pytest.mark.parametrize(
    ("other", "beyond"), [(95.0, False), (94.9, True), (105.2, False), (105.3, True)]
)
def test_five_per_cent_agree_and_more_does_not(other, beyond):
    assert compare(side([100.0]), side([other])).beyond.tolist() == [beyond]


def test_what_is_small_in_the_unit_is_no_difference():
    limit = Limit(0.05, absolute=0.5)
    found = compare(side([0.1, 100]), side([-0.2, 90]), limit=limit)
    assert found.beyond.tolist() == [False, True]


def test_times_that_only_one_side_has_are_told_and_not_compared():
    found = compare(side([1, 2, None, 4]), side([1, None, 3, 4, 5]))
    assert only(found) == (1, 2)
    assert found.compared.tolist() == [True, False, False, True, False]
    assert not found.beyond.any()


@pytest.mark.parametrize("align", ["exact", "mean", "date"])
def test_an_empty_side_leaves_nothing_to_compare(align):
    for one, two in ((side([1.0]), side([])), (side([]), side([]))):
        found = compare(one, two, align=align)
        assert not found.compared.any()
        assert len(found.times) == len(one.times)


def test_an_hour_and_its_quarters_are_refused_unless_means_are_asked_for():
    quarters = side([1, 2, 3, 4, 5, 5, 5, 5, 7, 7], step=QUARTER)
    with pytest.raises(InvalidLayout, match="3600 s and 900 s: use align mean"):
        compare(side([2.5, 5, 7]), quarters)
    found = compare(side([2.5, 5, 7]), quarters, align="mean")
    assert found.other.tolist()[:2] == [2.5, 5.0]
    assert (only(found), found.incomplete) == ((1, 0), 1)
    turned = compare(quarters, side([2.5, 5, 7]), align="mean")
    assert turned.preferred.tolist()[:2] == [2.5, 5.0]


def test_months_are_of_one_step_and_steps_that_do_not_divide_are_refused():
    months = [np.datetime64(f"2026-{month:02}-01", "us") for month in range(1, 7)]
    one = Side(np.array(months), np.ones(6))
    two = Side(np.array(months[1:3]), np.ones(2))
    assert compare(one, two).compared.sum() == 2
    with pytest.raises(InvalidLayout, match="no multiple"):
        compare(
            side([1, 1, 1], step=timedelta(minutes=50)),
            side([1, 1, 1], step=timedelta(minutes=20)),
            align="mean",
        )


@pytest.mark.parametrize(
    ("first", "lengths"),
    [("2026-03-07", [24, 23, 24]), ("2026-10-31", [24, 25, 24])],
)
def test_the_days_of_a_place_are_as_long_as_its_clock_makes_them(first, lengths):
    days = local_days(datetime.fromisoformat(first), [1.0, 2.0, 3.0])
    hours = [float(day + 1) for day, size in enumerate(lengths) for _ in range(size)]
    begin = days.times[0].item()
    found = compare(days, side(hours, start=begin), align="mean")
    assert found.difference.tolist() == [0, 0, 0]
    assert (found.incomplete, only(found)) == (0, (0, 0))
    short = compare(days, side(hours[:-1], start=begin), align="mean")
    assert (short.incomplete, only(short)) == (1, (1, 0))


def test_a_coarse_series_on_no_grid_is_refused():
    times = START + np.array([0, 24, 48, 71]) * HOUR
    days = Side(times.astype("M8[us]"), np.ones(4))
    with pytest.raises(InvalidLayout, match="not on a steady grid"):
        compare(days, side([1.0] * 80), align="mean")


def test_days_that_begin_at_other_instants_are_compared_by_their_date():
    first = datetime.fromisoformat("2026-03-06")
    new_york = local_days(first, [1, 2, 3, 4])
    utc = side([1, 2, 3, 5], start=first, step=DAY)
    assert not compare(new_york, utc).compared.any()
    found = compare(new_york, utc, align="date")
    assert found.difference.tolist() == [0, 0, 0, 0.2]
    assert str(found.times[0].astype("M8[D]")) == "2026-03-06"


def test_a_date_with_several_values_is_refused():
    with pytest.raises(InvalidLayout, match="several values of 2026-03-02 in UTC"):
        compare(side([1.0, 2.0]), side([1.0]), align="date")
    with pytest.raises(InvalidLayout, match="several values of a date"):
        compare(side([1.0] * 99), side([1.0]), align="date")


def naive(one: dict[int, float], two: dict[int, float]) -> dict[int, float]:
    """Compare as by hand."""
    found = {}
    for at in one.keys() & two.keys():
        larger = max(abs(one[at]), abs(two[at]))
        found[at] = abs(one[at] - two[at]) / larger if larger else 0.0
    return found


@settings(deadline=None, max_examples=100)
@given(one=points, two=points)
def test_comparing_is_what_one_would_do_by_hand(one, two):
    a, b = (
        side([values.get(at) for at in range(41)], step=DAY) for values in (one, two)
    )
    found = compare(a, b, align="date", limit=Limit(0.1))
    wanted = naive(one, two)
    at = ((found.times - np.datetime64(START)) // np.timedelta64(1, "D")).astype(int)
    told = dict(zip(at.tolist(), found.difference.tolist(), strict=True))
    assert sorted(told) == sorted(one.keys() | two.keys())
    assert {k: v for k, v in told.items() if not math.isnan(v)} == wanted
    assert found.beyond.sum() == sum(one > 0.1 for one in wanted.values())


@settings(deadline=None, max_examples=100)
@given(one=points, two=points)
def test_neither_side_comes_first(one, two):
    a, b = (
        side([values.get(at) for at in range(41)], step=DAY) for values in (one, two)
    )
    there, back = (compare(*both, align="date") for both in ((a, b), (b, a)))
    np.testing.assert_array_equal(there.difference, back.difference)
    np.testing.assert_array_equal(there.beyond, back.beyond)
