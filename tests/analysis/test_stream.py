import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.analyse import AnalysisOptions, InvalidSeries, analyse
from analysis.packing import OtherVersion, pack, unpack
from analysis.stream import Stream
from analysis.verdicts import anomaly_of
from tests.analysis.synthetic import HOUR, START, clean, hours, plant


def pushed(values, options, *, stream=None, start=0, step=HOUR):
    stream = stream or Stream(options)
    times = START + (start + np.arange(len(values))) * step
    return [stream.push(v, time=t) for v, t in zip(values, times, strict=True)]


def same(first, second):
    """Compare verdicts; NaN equals NaN."""
    for one, two in zip(first, second, strict=True):
        for name in one.__dataclass_fields__:
            np.testing.assert_equal(getattr(one, name), getattr(two, name), name)


def holed(seed, count):
    values, _ = plant(clean(1000, seed=seed), seed=seed)
    rng = np.random.default_rng(seed)
    values[rng.integers(0, 1000, 10)] = np.nan
    values[500:504] = np.nan
    return values[:count]


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(2, 700),
    budget=st.sampled_from([0.5, 1.0, 10.0]),
    zone=st.sampled_from([None, "Europe/Berlin"]),
)
def test_a_stream_says_what_replay_and_latest_say_of_the_same_past(
    seed, count, budget, zone
):
    values = holed(seed, count)
    asked = {"false_alarms_per_1000": budget, "time_zone": zone}
    said = pushed(values, AnalysisOptions("1h", **asked))
    given_all = {"values": values, "times": hours(count)}
    replayed = analyse(**given_all, options=AnalysisOptions("1h", "replay", **asked))
    latest = analyse(**given_all, options=AnalysisOptions("1h", "latest", **asked))
    for name, other in [(x, x) for x in ("expected", "lower", "upper", "score")] + [
        ("strength", "strangeness"),
        ("is_anomaly", "is_anomaly"),
    ]:
        column = [getattr(one, name) for one in said]
        np.testing.assert_array_equal(getattr(replayed, other), column)
        np.testing.assert_array_equal(getattr(latest, other), column[-1:])
    newest = anomaly_of(said[-1])
    assert latest.anomalies == ((newest,) if newest else ())


@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 600))
def test_an_unpacked_stream_goes_on_as_if_it_had_never_been_packed(seed, cut):
    values, options = holed(seed, 700), AnalysisOptions("1h")
    whole = pushed(values, options)
    stream = Stream(options)
    pushed(values[:cut], options, stream=stream)
    again = unpack(pack(stream), options=options)
    rest = pushed(values[cut:], options, stream=again, start=cut)
    same(whole[cut:], rest)


@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 600))
def test_what_comes_later_changes_nothing_that_was_said(seed, cut):
    values, options = holed(seed, 700), AnalysisOptions("1h")
    other = values.copy()
    other[cut:] = 1e6 - other[cut:]
    same(pushed(values, options)[:cut], pushed(other, options)[:cut])


@settings(deadline=None, max_examples=6)
@given(
    seed=st.integers(0, 10_000),
    power=st.integers(-20, 20),
    shift=st.integers(-1000, 1000),
)
def test_a_stream_does_not_care_for_the_unit_of_its_values(seed, power, shift):
    values = np.round(holed(seed, 500) * 64) / 64
    plain = pushed(values, AnalysisOptions("1h"))
    moved = pushed(2.0**power * (values + shift), AnalysisOptions("1h"))
    # A mean that is rounded otherwise may move a rank by one.
    pairs = list(zip(plain, moved, strict=True))
    assert sum(one.is_anomaly != two.is_anomaly for one, two in pairs) <= 1
    for one, two in pairs:
        assert two.strength == pytest.approx(one.strength, abs=0.02)
        np.testing.assert_allclose(
            two.expected / 2.0**power - shift, one.expected, atol=1e-6
        )


def noise(kind, seed, count=4000):
    values = np.random.default_rng(seed).standard_normal(count)
    if kind == "autoregressive":
        for place in range(1, count):
            values[place] += 0.9 * values[place - 1]
    return values + 10 * np.sin(np.arange(count) * np.pi / 12) * (kind == "seasonal")


@pytest.mark.parametrize("kind", ["white", "autoregressive", "seasonal"])
def test_noise_spends_the_false_alarm_budget(kind):
    options = AnalysisOptions("1h", false_alarms_per_1000=10)
    flagged = [
        one.is_anomaly
        for seed in range(1)
        for one in pushed(noise(kind, seed), options)[500:]
    ]
    assert 0.5e-2 <= np.mean(flagged) <= 1.5e-2


def test_the_season_is_found_while_the_stream_goes_on():
    wave = 10 * np.sin(np.arange(900) * 2 * np.pi / 31)
    values = wave + 0.1 * np.random.default_rng(0).standard_normal(900)
    stream = Stream(AnalysisOptions("1h"))
    said = pushed(values, stream.options, stream=stream)
    assert stream.past.season == 31
    late = [abs(one.expected - one.value) for one in said[850:]]
    assert np.median(late) < 0.5
    # At the wrong phase the same value is strange.
    assert stream.push(9.9, time=START + 900 * HOUR).is_anomaly == (wave[0] < 9)


def test_cycles_follow_the_clock_through_daylight_saving():
    times = np.datetime64("2024-03-01", "us") + np.arange(24 * 45) * HOUR
    # From 31 March on, Berlin is two hours ahead of UTC instead of one.
    local = np.arange(24 * 45) + 1 + (times >= np.datetime64("2024-03-31T01:00"))
    rng = np.random.default_rng(0)
    values = 10 * (local % 24 == 8) + 0.1 * rng.standard_normal(len(times))
    zoned = AnalysisOptions("1h", "replay", season=24, time_zone="Europe/Berlin")
    deaf = AnalysisOptions("1h", "replay", season=24)
    after = slice(24 * 30 + 2, 24 * 33)
    for mode in ("replay", "batch"):
        errors = []
        for options in (zoned, deaf):
            asked = AnalysisOptions("1h", mode, season=24, time_zone=options.time_zone)
            found = analyse(values, times=times, options=asked)
            errors.append(np.abs(found.expected - values)[after].max())
        assert errors[0] < 1.5, mode
        assert errors[1] > 5, mode


def test_skipped_steps_are_missing_ones():
    values, options = clean(400, seed=1), AnalysisOptions("1h")
    values[300:310] = np.nan
    whole, stream = pushed(values, options), Stream(options)
    kept = [
        stream.push(value, time=time)
        for value, time in zip(values, hours(400), strict=True)
        if not math.isnan(value)
    ]
    same([one for one in whole if not math.isnan(one.value)], kept)


def test_a_gap_and_a_flatline_are_told_with_their_beginning():
    values = clean(600, seed=2)
    values[-12:] = np.nan
    gap = anomaly_of(pushed(values, AnalysisOptions("1h"))[-1])
    assert (gap.kind, gap.start, gap.end) == ("gap", hours(589)[-1], hours(601)[-1])
    values[-12:] = 90.0
    flat = anomaly_of(pushed(values, AnalysisOptions("1h"))[-1])
    assert (flat.kind, flat.start) == ("flatline", hours(589)[-1])
    assert flat.evidence["reading"] == 12
    assert flat.evidence["threshold"] < 12


@pytest.mark.parametrize("bad", START + np.array([-60, 0, 30, 150], "timedelta64[m]"))
def test_a_time_that_is_no_step_after_the_last_is_refused(bad):
    stream = Stream(AnalysisOptions("1h"))
    stream.push(1.0, time=START)
    with pytest.raises(InvalidSeries, match="no step after"):
        stream.push(2.0, time=bad)


def test_months_are_steps_too():
    stream = Stream(AnalysisOptions("MS"))
    stream.push(1.0, time=np.datetime64("2024-01-01"))
    said = stream.push(2.0, time=np.datetime64("2024-04-01"))
    assert stream.past.count == 4
    assert said.end == np.datetime64("2024-05-01")


def test_a_state_of_another_frequency_is_refused():
    state = pack(Stream(AnalysisOptions("1h")))
    with pytest.raises(OtherVersion, match="start a new stream"):
        unpack(state, options=AnalysisOptions("30min"))


def test_a_state_is_compact():
    stream = Stream(AnalysisOptions("1h"))
    pushed(clean(2000, seed=3), stream.options, stream=stream)
    assert len(pack(stream)) < 130_000


@pytest.mark.parametrize("wild", [1e300, -1e300, math.inf, -math.inf])
def test_huge_and_infinite_values_break_nothing(wild):
    values = clean(300, seed=4)
    values[200] = wild
    said = pushed(values, AnalysisOptions("1h"))
    assert all(0 <= one.strength < 1 and 0 <= one.score < 1 for one in said)
    assert said[200].is_anomaly == math.isfinite(wild)


def days_with_a_week():
    at = np.arange(71)
    unrest = 2 * np.sin(at * 12.9898) * np.cos(at * 78.233)
    return 100 + 20 * np.sin(at * math.tau / 7) + unrest


@pytest.mark.parametrize("size", [80.0, -80.0])
def test_a_short_history_is_enough_for_a_large_spike(size):
    values = days_with_a_week()
    values[-1] += size
    options = AnalysisOptions("1h", season=7)
    assert pushed(values, options)[-1].kind == ("spike" if size > 0 else "dip")


@pytest.mark.parametrize("count", [50, 100, 300])
def test_twenty_deviations_after_a_short_history_are_found(count):
    found = 0
    for seed in range(10):
        values = noise("white", seed, count)
        values[-1] += 20
        found += pushed(values, AnalysisOptions("1h"))[-1].is_anomaly
    assert found >= 9


def test_a_spike_in_a_series_without_noise_is_found_though_rounding_is_not():
    at = np.arange(400)
    values = (at % 24) + 0.1 * (at % 7)
    values[150] = 99.0
    said = pushed(values, AnalysisOptions("1h"))
    assert said[150].kind == "spike"
    assert sum(one.is_anomaly for one in said) <= 3


def test_two_levels_that_come_and_go_are_both_usual():
    rng = np.random.default_rng(0)
    values = 0.98 + 0.02 * (np.repeat(rng.random(250), 16) < 0.7)
    said = pushed(values, AnalysisOptions("1min"), step=np.timedelta64(1, "m"))
    assert sum(one.is_anomaly for one in said[500:]) <= 5


def test_an_onset_in_a_short_history_does_not_hide_the_next_one():
    found = 0
    for seed in range(10):
        values = noise("seasonal", seed, 700)
        values[[400, 600]] = 40.0
        said = pushed(values, AnalysisOptions("1h"))
        assert said[400].is_anomaly
        found += said[600].is_anomaly
    assert found >= 5


def _day(hour: int, noise: float) -> float:
    return 1000 + 200 * math.sin(hour / 24 * 2 * math.pi) + 10 * noise


@pytest.mark.parametrize("seed", range(3))
def test_outliers_that_nobody_labelled_do_not_hide_the_next_one(seed):
    times_as_large = {710: 2, 730: 2, 760: 2, 790: 3}
    noise = np.random.default_rng(seed).normal(size=800)
    values = [_day(i, x) * times_as_large.get(i, 1) for i, x in enumerate(noise)]
    said = pushed(values, AnalysisOptions("1h"))
    assert all(said[place].alerts for place in times_as_large)


def test_what_comes_after_an_outlier_is_expected_as_before():
    noise = np.random.default_rng(1).normal(size=720)
    clean = [_day(i, x) for i, x in enumerate(noise)]
    wild = [2 * one if i == 710 else one for i, one in enumerate(clean)]
    options = AnalysisOptions("1h")
    both = (pushed(values, options)[711:] for values in (clean, wild))
    for one, other in zip(*both, strict=True):
        assert other.expected == pytest.approx(one.expected, abs=30)
        assert not other.is_anomaly


@pytest.mark.parametrize("seed", range(3))
def test_a_new_level_is_soon_the_usual_one(seed):
    noise = np.random.default_rng(seed).normal(size=700)
    values = [1000 + 10 * x + 300 * (i >= 600) for i, x in enumerate(noise)]
    said = pushed(values, AnalysisOptions("1h"))
    assert said[600].alerts
    assert sum(one.is_anomaly for one in said[600:]) <= 5
    assert all(one.expected > 1200 for one in said[610:])
