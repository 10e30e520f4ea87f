import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.lasting import LastingDetector, threshold


def found(values, *, false_alarms=1e-4):
    detector = LastingDetector(false_alarms=false_alarms)
    return [one for one in map(detector.push, map(float, values)) if one]


@pytest.mark.parametrize("draw", ["normal", "heavy", "counts"])
def test_steady_noise_alarms_no_more_often_than_stated(draw):
    rng = np.random.default_rng(0)
    noise = {
        "normal": rng.normal(size=30_000),
        "heavy": rng.standard_t(2, size=30_000),
        "counts": rng.poisson(2, size=30_000),
    }[draw]
    # Thirty alarms are expected; a Poisson number rarely exceeds forty-five.
    assert 3 <= len(found(noise, false_alarms=1e-3)) <= 45


def test_noise_that_echoes_pays_for_it():
    rng = np.random.default_rng(1)
    echo = np.zeros(20_000)
    for step, shock in enumerate(rng.normal(size=20_000)):
        echo[step] = 0.7 * echo[step - 1] + shock
    assert len(found(echo, false_alarms=1e-3)) <= 30


@pytest.mark.parametrize("size", [-3.0, 1.5, 3.0])
def test_a_change_is_noticed_soon_and_placed_where_it_began(size):
    delays, misses = [], []
    for seed in range(20):
        values = np.random.default_rng(seed).normal(size=700)
        values[500:] += size
        changes = [one for one in found(values) if one.noticed >= 500]
        delays.append(changes[0].noticed - 500)
        misses.append(abs(changes[0].began - 500))
        assert np.sign(changes[0].after - changes[0].before) == np.sign(size)
        assert changes[0].height > changes[0].threshold
    assert np.median(delays) <= 15
    assert np.median(misses) <= 3


def test_a_spike_is_no_lasting_change_and_silence_is_none_either():
    values = np.random.default_rng(2).normal(size=600)
    values[400:403] += 50
    assert found(values) == []
    values[450:550] = np.nan
    assert found(values) == []
    assert found(np.full(500, 7.0)) == []


@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 1000),
    shift=st.floats(-100, 100),
    scale=st.floats(0.1, 100),
    cube=st.booleans(),
)
def test_only_the_order_of_the_values_counts(seed, shift, scale, cube):
    values = np.round(np.random.default_rng(seed).normal(size=400), 2)
    values[300:] += 2
    other = shift + scale * (values**3 if cube else values)
    plain, moved = found(values), found(other)
    assert [(c.began, c.noticed) for c in moved] == [
        (c.began, c.noticed) for c in plain
    ]


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 450))
def test_a_state_that_went_through_json_goes_on_the_same(seed, cut):
    values = np.random.default_rng(seed).normal(size=450)
    values[300:] += 2
    whole, first = LastingDetector(), LastingDetector()
    for value in values[:cut]:
        whole.push(float(value))
        first.push(float(value))
    second = LastingDetector.from_state(json.loads(json.dumps(first.as_state())))
    for value in values[cut:]:
        assert whole.push(float(value)) == second.push(float(value))


def test_the_threshold_rises_as_fewer_false_alarms_are_allowed():
    rates = [1e-3, 3e-4, 1e-4, 1e-5, 1e-6]
    heights = [threshold(rate) for rate in rates]
    assert heights == sorted(heights)
    assert len(set(heights)) == len(rates)


@pytest.mark.parametrize("rate", [0.0, 0.5, float("nan")])
def test_a_rate_that_was_not_simulated_is_refused(rate):
    with pytest.raises(ValueError, match="false_alarms"):
        LastingDetector(false_alarms=rate)
