"""What looks odd in stored rows, and what does not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.alarms import (
    FEWEST,
    Point,
    Revision,
    edge,
    large_revisions,
    odd_values,
    short_lookback,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAILY = [10.0, 11.0, 12.0, 11.0] * 15


def points(values, fresh=1):
    """Return hourly values, of which the last ones are fresh."""
    return [
        Point(BEGIN + timedelta(hours=n), value, n >= len(values) - fresh)
        for n, value in enumerate(values)
    ]


def codes(values, fresh=1):
    return [note.code for note in odd_values("a", points(values, fresh))]


def test_a_spike_names_its_value_and_the_middle_of_those_before():
    (note,) = odd_values("load.a", points([*DAILY, 90.0]))
    assert (note.code, note.series) == ("spike", "load.a")
    assert (note.value, note.against) == (90.0, 11.0)
    assert note.ts == BEGIN + timedelta(hours=60)
    assert "90" in note.detail
    assert "11" in note.detail


def test_an_old_spike_is_no_news():
    assert codes([*DAILY[:30], 90.0, *DAILY]) == []


def test_a_value_of_the_usual_size_is_no_spike():
    assert codes([*DAILY, 13.0]) == []


def test_a_spike_shows_also_where_half_of_the_values_are_equal():
    assert codes([*[0.0] * 40, *[1.0, 2.0] * 10, 90.0]) == ["spike"]


def test_too_few_values_say_nothing():
    assert codes([1.0, 2.0] * (FEWEST // 2 - 1) + [500.0]) == []


@settings(deadline=None, max_examples=50)
@given(
    shift=st.floats(-1e6, 1e6),
    scale=st.floats(1e-3, 1e3),
    last=st.sampled_from([12.0, 90.0]),
)
def test_neither_unit_nor_offset_decides_about_a_spike(shift, scale, last):
    moved = [shift + scale * one for one in [*DAILY, last]]
    assert codes(moved) == (["spike"] if last == 90.0 else [])


def test_a_flat_line_names_its_value_and_the_one_before():
    (note,) = odd_values("a", points([*DAILY, *[7.0] * 13], fresh=13))
    assert (note.code, note.value, note.against) == ("flatline", 7.0, 11.0)
    assert note.ts == BEGIN + timedelta(hours=60)
    assert "13 values" in note.detail


@pytest.mark.parametrize(
    "values",
    [
        [*DAILY, *[7.0] * 12],
        ([0.0] * 11 + [3.0, 5.0, 4.0]) * 4 + [0.0] * 20,
        [5.0] * 60,
    ],
    ids=["not long enough", "nights of a solar plant", "never anything else"],
)
def test_what_is_flat_as_usual_is_no_news(values):
    assert codes(values, fresh=10) == []


def test_a_flat_line_that_was_there_before_is_no_news():
    assert codes([*DAILY, *[7.0] * 20], fresh=0) == []


def test_a_large_revision_names_both_values():
    at = BEGIN + timedelta(hours=3)
    changes = [Revision(at, 11.0, 80.0), Revision(at, 11.0, 11.5)]
    (note,) = large_revisions("a", changes, points(DAILY))
    assert (note.code, note.ts) == ("large_revision", at)
    assert (note.value, note.against) == (80.0, 11.0)
    assert "11 became 80" in note.detail


def test_nothing_is_said_of_revisions_where_the_spread_is_unknown():
    changes = [Revision(BEGIN, 1.0, 1e9)]
    assert large_revisions("a", changes, points(DAILY[:10])) == []
    assert large_revisions("a", changes, points([5.0] * 60)) == []


def test_revisions_at_the_edge_of_the_lookback_are_told_above_a_thousandth():
    assert short_lookback(0, 0) is None
    assert short_lookback(1_000, 1) is None
    told = short_lookback(999, 1)
    assert told is not None
    assert "1 of 999" in told
    assert "widen the lookback" in told


def test_the_edge_is_the_first_tenth():
    assert edge(BEGIN, BEGIN + timedelta(days=10)) == BEGIN + timedelta(days=1)
