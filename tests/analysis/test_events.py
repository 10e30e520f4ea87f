import numpy as np
import pytest

from analysis.events import Judged, find_events
from analysis.runs import Run
from tests.analysis.synthetic import hours


def judged(deviations, *, season=24):
    """A flat expectation of 100 with bounds five away."""
    count = len(deviations)
    expected = np.full(count, 100.0)
    values = expected + deviations
    return Judged(
        times=hours(count),
        values=values,
        expected=expected,
        lower=expected - 5,
        upper=expected + 5,
        score=np.abs(deviations) / 100,
        seasonal=np.zeros(count),
        season=season,
        after=hours(count + 1)[-1],
    )


def deviations(**stretches):
    out = np.zeros(100)
    for name, size in stretches.items():
        start, stop = map(int, name[1:].split("_"))
        out[start:stop] = size
    return out


@pytest.mark.parametrize(
    ("stretches", "kinds"),
    [
        ({"s40_41": 20}, ["spike"]),
        ({"s40_43": -20}, ["dip"]),
        ({"s40_100": 20}, ["level_shift"]),
        ({"s40_52": 20}, ["pattern_break"]),
        ({"s40_42": 20, "s42_44": -20}, ["pattern_break"]),
        ({"s40_41": 20, "s42_43": 20}, ["spike"]),
        ({"s40_41": 20, "s60_61": -20}, ["spike", "dip"]),
        ({"s40_41": 4}, []),
    ],
)
def test_the_kind_follows_from_the_evidence(stretches, kinds):
    events = find_events(judged(deviations(**stretches)), gaps=[], flatlines=[])
    assert [event.kind for event in events] == kinds


def test_intervals_are_half_open_even_at_the_end():
    points = judged(deviations(s97_100=20))
    (event,) = find_events(points, gaps=[], flatlines=[])
    assert event.start == points.times[97]
    assert event.end == points.after


def test_a_flatline_takes_over_the_points_in_it():
    points = judged(deviations(s40_52=20))
    (event,) = find_events(points, gaps=[], flatlines=[Run(38, 52, 5.0)])
    assert (event.kind, event.start) == ("flatline", points.times[38])
    assert "repeated exactly 14 times" in event.explanation


def test_the_explanation_names_reading_expectation_bound_and_time():
    points = judged(deviations(s40_41=-20))
    (event,) = find_events(points, gaps=[], flatlines=[])
    assert event.explanation == (
        "Value 80.00 at 2024-01-02 16:00 UTC is 20 % below the expected 100.00 "
        "(lower bound 95.00)"
    )


def test_severity_and_score_are_those_of_the_worst_point():
    out = deviations(s40_42=60)
    out[41] = 90
    (event,) = find_events(judged(out), gaps=[], flatlines=[])
    assert (event.score, event.severity) == (0.9, "critical")
