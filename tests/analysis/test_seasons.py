import numpy as np
import pytest

from analysis.seasons import find_seasons
from tests.analysis.synthetic import START, clean, hours


def test_hourly_values_with_weekends_have_a_day_and_a_week():
    assert find_seasons(clean(24 * 60, seed=1), times=hours(24 * 60)) == (24, 168)


@pytest.mark.parametrize("share_missing", [0.0, 0.2])
def test_a_day_without_weekends_stays_alone(share_missing):
    rng = np.random.default_rng(2)
    values = np.sin(np.arange(1000) * np.pi / 12) + 0.3 * rng.standard_normal(1000)
    values[rng.random(1000) < share_missing] = np.nan
    assert find_seasons(values, times=hours(1000)) == (24,)


def test_months_have_a_year_and_days_a_week():
    rng = np.random.default_rng(3)
    months = np.datetime64("2010-01", "M") + np.arange(96)
    values = np.cos(np.arange(96) * np.pi / 6) + 0.2 * rng.standard_normal(96)
    assert find_seasons(values, times=months.astype("datetime64[us]")) == (12,)
    days = START + np.arange(120) * np.timedelta64(1, "D")
    values = (np.arange(120) % 7 >= 5) + 0.2 * rng.standard_normal(120)
    assert find_seasons(values, times=days) == (7,)


def test_a_cycle_that_is_in_no_calendar_is_found():
    rng = np.random.default_rng(4)
    values = np.sin(np.arange(900) * 2 * np.pi / 37) + 0.2 * rng.standard_normal(900)
    assert find_seasons(values, times=hours(900)) == (37,)


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_a_random_walk_have_no_cycle(seed):
    noise = np.random.default_rng(seed).standard_normal(800)
    assert find_seasons(noise, times=hours(800)) == ()
    assert find_seasons(np.cumsum(noise), times=hours(800)) == ()


def test_a_constant_or_very_short_series_has_no_cycle():
    assert find_seasons(np.full(400, 7.0), times=hours(400)) == ()
    assert find_seasons(np.arange(5.0), times=hours(5)) == ()
