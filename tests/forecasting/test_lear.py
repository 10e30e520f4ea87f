import numpy as np
import pytest

from forecasting.errors import ModelUnfit
from forecasting.models import Regime
from forecasting.models.lear import lear, suits_days
from tests.forecasting.days_ahead import drivers, knowing
from tests.forecasting.synthetic import wave

DAYS = 130


def market(*, noise=1.0, days=DAYS + 3):
    covariates = drivers(24 * days)
    clean = 0.8 * covariates[:, 0] - 0.5 * covariates[:, 1]
    return clean + noise * np.random.default_rng(2).normal(size=clean.size), covariates


def forecast(prices, covariates, *, points=24 * DAYS, horizon=24, **known):
    context = knowing(covariates, points=points, horizon=horizon, **known)
    mean = lear(prices[:points], context)
    return mean, np.abs(mean - prices[points : points + horizon]).mean()


def test_what_is_known_of_the_day_is_used():
    prices, covariates = market()
    _, error = forecast(prices, covariates)
    _, blind = forecast(prices, None)
    assert error < 1.2
    assert blind > 2 * error


def test_a_cutoff_within_the_day_is_no_harder():
    prices, covariates = market()
    _, error = forecast(prices, covariates, points=24 * DAYS + 7)
    assert error < 1.3


@pytest.mark.parametrize("horizon", [1, 9, 24, 30, 55])
def test_any_horizon_is_reached(horizon):
    prices, covariates = market()
    mean, error = forecast(prices, covariates, horizon=horizon)
    assert mean.shape == (horizon,)
    assert error < 3


def test_later_days_leave_the_first_one_alone():
    prices, covariates = market()
    first, _ = forecast(prices, covariates)
    both, _ = forecast(prices, covariates, horizon=48)
    assert both[:24].tobytes() == first.tobytes()


def test_the_past_of_a_covariate_helps_where_its_future_is_unknown():
    _, covariates = market()
    late = 0.9 * np.roll(covariates[:, 1], 24)
    _, error = forecast(late, covariates, only_past=(0, 1))
    _, blind = forecast(late, None)
    assert error < 0.5 * blind


def test_a_spike_long_ago_hardly_matters():
    prices, covariates = market()
    plain, _ = forecast(prices, covariates)
    prices[24 * 60 + 18] = 1e5
    spiked, _ = forecast(prices, covariates)
    assert np.abs(spiked - plain).mean() < 1.0
    assert spiked.max() < 200


def test_a_covariate_beyond_all_experience_cannot_carry_the_forecast_away():
    prices, covariates = market()
    covariates[24 * DAYS :] *= 1e6
    mean, _ = forecast(prices, covariates)
    past = prices[: 24 * DAYS]
    assert mean.max() < past.max() + 5 * np.ptp(past)


def test_less_than_fifteen_seasons_are_refused():
    history = wave(14 * 24, season=24)
    with pytest.raises(ModelUnfit, match="360 points are needed and 336 are there"):
        lear(history, knowing(None, points=history.size, horizon=24))


@pytest.mark.parametrize(
    ("season", "points", "covariates", "suited"),
    [
        (24, 2_400, 1, True),
        (96, 9_600, 2, True),
        (24, 2_399, 1, False),
        (24, 9_000, 0, False),
        (7, 9_000, 1, False),
    ],
)
def test_it_suits_days_of_phases_with_covariates(season, points, covariates, suited):
    regime = Regime(
        series=1,
        points=points,
        season=season,
        horizon=season,
        zeros=0.0,
        positive=True,
        covariates=covariates,
    )
    assert suits_days(regime) is suited
