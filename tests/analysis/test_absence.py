import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.packing import pack, unpack
from analysis.records import AnalysisOptions, Expected, InvalidSeries
from analysis.stream import Stream
from tests.analysis.synthetic import START, clean

STEPS = {"1h": 3_600, "15min": 900, "7min": 420, "D": 86_400}


def learnt(options, *, count, seed):
    stream, step = Stream(options), np.timedelta64(STEPS[options.frequency], "s")
    for place, value in enumerate(clean(count, seed=seed)):
        stream.push(value, time=START + place * step)
    return stream, START + count * step, step


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 99),
    frequency=st.sampled_from(sorted(STEPS)),
    zone=st.sampled_from([None, "Europe/Berlin", "Australia/Lord_Howe"]),
    season=st.sampled_from([None, 1, 7, 500]),
    count=st.sampled_from([1, 30, 250, 2_200]),
    gap=st.integers(1, 9_000),
    silent=st.booleans(),
)
def test_a_gap_that_is_jumped_leaves_what_a_slow_walk_leaves(  # noqa: PLR0917
    seed, frequency, zone, season, count, gap, silent
):
    spans = (Expected(START, START + np.timedelta64(900, "D")),) if silent else ()
    options = AnalysisOptions(frequency, time_zone=zone, season=season, calendar=spans)
    fast, upcoming, step = learnt(options, count=count, seed=seed)
    slow = unpack(pack(fast), options=options)
    for place in range(gap):
        slow.push(math.nan, time=upcoming + place * step)
    after = upcoming + gap * step
    for place, value in enumerate([math.nan, 100.0, 105.0, 250.0, *clean(60, seed=1)]):
        said = [one.push(value, time=after + place * step) for one in (fast, slow)]
        assert repr(said[0]) == repr(said[1])
        if place in (0, 20):
            assert pack(fast) == pack(slow)


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_a_gap_of_years_of_minutes_takes_no_more_steps_than_are_remembered(
    zone, monkeypatch
):
    options = AnalysisOptions("7min", time_zone=zone)
    stream, upcoming, step = learnt(options, count=500, seed=0)
    walked, whole = [], Stream._step
    monkeypatch.setattr(
        Stream, "_step", lambda *given: walked.append(given) or whole(*given)
    )
    verdict = stream.push(100.0, time=upcoming + 4_000_000 * step)
    assert len(walked) <= len(stream.past.ring) + 1
    assert stream.past.count == 500 + 4_000_000 + 1
    assert verdict.time == upcoming + 4_000_000 * step


def test_a_calendar_has_no_step_between_its_steps():
    stream = Stream(AnalysisOptions("MS"))
    stream.push(1.0, time=np.datetime64("2024-01-01"))
    with pytest.raises(InvalidSeries, match="no step after"):
        stream.push(2.0, time=np.datetime64("2024-02-15"))
    # What is refused changes nothing.
    assert stream.past.count == 1
    assert stream.push(2.0, time=np.datetime64("2024-04-01")).value == 2.0
    assert stream.past.count == 4
