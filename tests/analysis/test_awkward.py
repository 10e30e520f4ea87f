"""Series as they come: the answer holds together whatever is sent."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.analyse import AnalysisOptions, analyse
from analysis.packing import pack, unpack
from analysis.seasons import find_seasons
from analysis.stream import Stream
from analysis.verdicts import anomaly_of
from analysis.wording import show_number
from tests.analysis.synthetic import hours

RNG = np.random.default_rng(0)
N = 300
NOISE = RNG.normal(size=N)
WAVE = np.sin(np.arange(N) * np.pi / 12) + 0.1 * NOISE
PLACES = np.arange(N)

SERIES = {
    "one point": np.array([5.0]),
    "two points": np.array([5.0, 6.0]),
    "three points": np.array([5.0, 5.0, 7.0]),
    "twelve points": NOISE[:12],
    "thirteen points": NOISE[:13],
    "constant": np.full(N, 5.0),
    "zeros": np.zeros(N),
    "signed zeros": np.where(NOISE > 0, 0.0, -0.0),
    "constant but for rounding": 5 + 1e-15 * NOISE,
    "a sum of tenths": np.cumsum(np.full(N, 0.1)) - 0.1 * PLACES,
    "counts": RNG.poisson(2, N).astype(float),
    "mostly zero": RNG.poisson(0.02, N).astype(float),
    "a single one": np.eye(1, N, 200)[0],
    "coin": RNG.integers(0, 2, N).astype(float),
    "one spike repeated": np.where(PLACES % 50, 0.0, 50.0),
    "smallest numbers": RNG.integers(0, 5, N) * 5e-324,
    "very small": 1e-300 * WAVE,
    "very large": 1e149 * WAVE,
    "from small to large": 10.0 ** RNG.uniform(-150, 150, N),
    "one huge": np.where(PLACES == 200, 1e150, NOISE),
    "last one huge": np.where(PLACES == N - 1, 1e30, NOISE),
    "far from zero": 1e12 + WAVE,
    "hardly any digits left": 1e16 + NOISE,
    "heavy tails": RNG.standard_cauchy(N),
    "mostly missing": np.where(PLACES % 40, np.nan, NOISE),
    "three present": np.where(np.isin(PLACES, [3, 150, 290]), 1.0, np.nan),
    "nine tenths missing": np.where(RNG.random(N) < 0.9, np.nan, NOISE),
    "long gap": np.where((PLACES > 40) & (PLACES < 250), np.nan, NOISE),
    "missing at the end": np.where(PLACES > 280, np.nan, NOISE),
    "step at the very end": NOISE + 30.0 * (PLACES > 297),
    "flat at the end": np.where(PLACES > 270, 0.0, WAVE),
    "straight": PLACES.astype(float),
    "explosive": np.exp(PLACES / 2.0),
    "three cycles": np.tile(NOISE[:24], 3),
}
WORDS = re.compile(r"\bnan\b|\binf\b|\bNone\b|[\d,]{26}")


def check(found):
    present = np.isfinite(found.values)
    known = np.isfinite(found.expected)
    for scores in (found.score, found.strangeness):
        assert ((scores >= 0) & (scores <= 1)).all()
    assert (np.isfinite(found.lower) == known).all()
    assert (np.isfinite(found.upper) == known).all()
    assert (found.lower[known] <= found.expected[known]).all()
    assert (found.expected[known] <= found.upper[known]).all()
    for event in found.anomalies:
        assert 0 <= event.score <= 1
        assert event.start < event.end
        assert not WORDS.search(event.explanation), event.explanation
        if event.kind not in ("gap", "missing_data"):
            assert math.isfinite(event.value)
    for change in found.change_points:
        assert not WORDS.search(change.explanation), change.explanation
    if present.sum() >= 12 and found.detector == "seasonal":
        assert known.all()


@pytest.mark.parametrize("mode", ["latest", "changepoints"])
@pytest.mark.parametrize("name", SERIES)
def test_the_answer_holds_together(name, mode):
    values = SERIES[name]
    options = AnalysisOptions("1h", mode=mode)
    check(analyse(values, times=hours(len(values)), options=options))


@pytest.mark.parametrize("name", SERIES)
def test_a_stream_says_what_a_replay_says_and_outlives_its_bytes(name):
    values, options = SERIES[name], AnalysisOptions("1h")
    times, stream, said = hours(len(values)), Stream(options), []
    for step, (value, time) in enumerate(zip(values, times, strict=True)):
        if step == len(values) // 2:
            stream = unpack(pack(stream), options=options)
        verdict = stream.push(value, time=time)
        said.append(verdict.score)
        found = anomaly_of(verdict)
        assert not (found and WORDS.search(found.explanation))
    replayed = analyse(
        values, times=times, options=AnalysisOptions("1h", mode="replay")
    )
    check(replayed)
    np.testing.assert_array_equal(said, replayed.score)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_any_mixture_of_troubles_is_answered(seed, data):
    rng = np.random.default_rng(seed)
    name = data.draw(st.sampled_from(sorted(SERIES)))
    values = SERIES[name].copy()
    if data.draw(st.booleans()):
        values = np.round(values + data.draw(st.sampled_from([0, 1e6, 1e15])), 1)
    if data.draw(st.booleans()):
        values[len(values) // 2 :] += data.draw(st.sampled_from([1.0, -1e9]))
    if data.draw(st.booleans()):
        values[:-1][rng.random(len(values) - 1) < 0.5] = np.nan
    mode = data.draw(st.sampled_from(["batch", "latest", "changepoints"]))
    options = AnalysisOptions(
        "1h", mode=mode, season=data.draw(st.sampled_from([None, 1, 7, 24]))
    )
    if np.isfinite(values).any() and np.nanmax(np.abs(values)) <= 1e150:
        check(analyse(values, times=hours(len(values)), options=options))


@pytest.mark.parametrize("frequency", ["s", "5min", "D", "B", "W", "MS", "QE", "YS"])
def test_from_seconds_to_years_a_lone_spike_is_found(frequency):
    index = pd.date_range("1700-01-01", periods=150, freq=frequency, unit="us")
    values = np.random.default_rng(1).normal(size=150)
    values[100] += 25
    times = index.to_numpy()
    found = analyse(values, times=times, options=AnalysisOptions(frequency))
    assert times[100] in [event.start for event in found.anomalies]
    check(found)


@pytest.mark.parametrize(
    "curve",
    [lambda x: x, lambda x: 1 - abs(2 * x - 1), np.square, lambda x: np.exp(5 * x)],
    ids=["straight", "roof", "square", "exponential"],
)
@pytest.mark.parametrize("noise", [0.0, 0.001, 0.03])
def test_a_curve_without_cycles_has_no_season(curve, noise):
    rng = np.random.default_rng(1)
    for count in (120, 500):
        values = curve(np.arange(count) / count) + noise * rng.normal(size=count)
        times = np.datetime64("2024-01-01", "us") + np.arange(count) * (
            np.timedelta64(7, "m")
        )
        assert find_seasons(values, times=times) == ()


def test_a_season_is_the_same_in_every_unit():
    values = np.random.default_rng(2).normal(size=480) + 3 * np.tile(NOISE[:24], 20)
    times = hours(480)
    for unit in (1e-300, 1e-9, 1e9, 1e150):
        assert find_seasons(unit * values / 9, times=times) == (24,)


def test_three_cycles_are_enough_to_expect_every_one_of_them():
    values = SERIES["three cycles"] + 0.01 * NOISE[:72]
    found = analyse(values, times=hours(72), options=AnalysisOptions("1h", season=24))
    assert np.isfinite(found.expected).all()
    assert np.abs(values - found.expected).max() < 0.2


@pytest.mark.parametrize("draw", ["rounded", "counts", "rare"])
def test_few_different_values_are_no_change_of_spread(draw):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        values = {
            "rounded": np.round(rng.normal(size=1500)),
            "counts": rng.poisson(0.5, 1500).astype(float),
            "rare": rng.poisson(0.1, 1500).astype(float),
        }[draw]
        found = analyse(values, times=hours(1500), options=AnalysisOptions("1h"))
        assert "variance_change" not in [event.kind for event in found.anomalies]


@pytest.mark.parametrize(
    ("number", "spread", "text"),
    [
        (0.0, 0.0, "0"),
        (-0.0, 5.0, "0.000"),
        (-1e-9, 5.0, "0.000"),
        (-3.0, 1e20, "-3"),
        (1e20, 1e20, "1.000e+20"),
        (1e16 + 8, 8.0, "1.000000000e+16"),
        (5e-324, 5e-324, "4.941e-324"),
        (-2.5e-150, 1e-150, "-2.500e-150"),
        (1234.5, 10.0, "1,234.50"),
    ],
)
def test_a_number_is_written_as_short_as_its_series_deserves(number, spread, text):
    assert show_number(number, spread=spread) == text
