"""What every registered detector promises."""

import numpy as np
import pytest

from analysis.analyse import AnalysisOptions, analyse, detector_names
from analysis.detectors import detector, find_detector
from tests.analysis.synthetic import clean, hours

COUNT = 24 * 60
every_detector = pytest.mark.parametrize("name", detector_names())


def judge(values, name):
    options = AnalysisOptions("1h", detector=name)
    return analyse(values, times=hours(len(values)), options=options)


def baseline(values, name, *, causal=False):
    return find_detector(name)(values, seasons=(24, 168), causal=causal)


@every_detector
@pytest.mark.parametrize("causal", [True, False])
def test_each_point_has_an_expectation_and_a_scale(name, causal):
    found = baseline(clean(COUNT, seed=0), name, causal=causal)
    for part in (found.expected, found.scale, found.seasonal):
        assert part.shape == (COUNT,)
    assert np.isfinite(found.seasonal).all()
    known = np.isfinite(found.expected)
    assert known[COUNT // 2 :].all()
    assert known.all() or causal
    assert (found.scale[known] > 0).all()
    assert np.isnan(found.scale[~known]).all()


@every_detector
def test_missing_values_get_an_expectation_and_no_score(name):
    values = clean(COUNT, seed=1)
    values[700:712] = np.nan
    result = judge(values, name)
    assert np.isfinite(result.expected).all()
    assert np.isnan(result.values[700:712]).all()
    assert (result.score[700:712] == 0).all()
    assert not result.is_anomaly[700:712].any()


@every_detector
def test_a_constant_series_is_expected_exactly(name):
    found = baseline(np.full(COUNT, 42.0), name)
    np.testing.assert_array_equal(found.expected, 42)
    assert judge(np.full(COUNT, 42.0), name).anomalies == ()


@every_detector
def test_a_planted_anomaly_has_the_highest_score(name):
    values = clean(COUNT, seed=2)
    values[1000] += 60
    result = judge(values, name)
    assert result.is_anomaly[1000]
    assert np.argmax(result.score) == 1000


@every_detector
def test_the_same_values_give_the_same_answer_and_stay_as_they_are(name):
    values = clean(COUNT, seed=3)
    values[50:60] = np.nan
    before = values.copy()
    first, second = judge(values, name), judge(values, name)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(first.score, second.score)
    assert first.anomalies == second.anomalies
    values.flags.writeable = False
    np.testing.assert_array_equal(judge(values, name).score, first.score)


@every_detector
def test_a_causal_expectation_does_not_see_its_own_value(name):
    values = clean(COUNT, seed=4)
    wild = values.copy()
    wild[-1] += 1e6
    found = baseline(values, name, causal=True).expected[-1]
    assert baseline(wild, name, causal=True).expected[-1] == pytest.approx(
        found, rel=0.01
    )


@every_detector
def test_a_name_is_taken_once(name):
    with pytest.raises(ValueError, match=name):
        detector(name)(find_detector(name))
