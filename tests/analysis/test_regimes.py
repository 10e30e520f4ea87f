import numpy as np
import pytest

from analysis.changepoints import find_change_points
from analysis.regimes import find_regimes
from tests.analysis.synthetic import hours


def test_regimes_say_level_slope_spread_and_season():
    rng, steps = np.random.default_rng(0), np.arange(480)
    first = 10 + 2 * np.sin(2 * np.pi * steps[:240] / 24)
    second = 40 + 0.5 * steps[:240]
    values = np.concatenate([first, second]) + rng.normal(scale=0.5, size=480)
    changes = find_change_points(values, times=hours(480), season=24)
    early, late = find_regimes(values, times=hours(480), changes=changes, season=24)
    assert early.end == late.start == hours(241)[-1]
    assert late.end is None
    assert early.level == pytest.approx(10, abs=0.2)
    assert early.slope == pytest.approx(0, abs=0.01)
    assert early.season_strength > 0.8
    assert late.slope == pytest.approx(0.5, abs=0.01)
    assert late.season_strength < 0.2
    assert early.spread == pytest.approx(0.5, rel=0.2)
    assert early.confidence == 1
    assert late.confidence == changes[0].confidence


def test_a_steady_series_is_one_regime_and_missing_points_do_not_count():
    values = np.full(50, 3.0)
    values[10:20] = np.nan
    (regime,) = find_regimes(values, times=hours(50), changes=[])
    assert (regime.count, regime.level, regime.slope, regime.spread) == (40, 3, 0, 0)
    assert np.isnan(regime.season_strength)


def test_too_few_points_have_a_level_only_and_none_have_nothing():
    (short,) = find_regimes(np.array([1.0, 2.0]), times=hours(2), changes=[])
    assert short.level == 1.5
    assert np.isnan([short.slope, short.spread]).all()
    (empty,) = find_regimes(np.full(3, np.nan), times=hours(3), changes=[])
    assert empty.count == 0
    assert np.isnan(empty.level)
