"""Hours of a made-up market, and what a model may know of them."""

import numpy as np

from forecasting.models import ModelContext
from tests.forecasting.synthetic import hours


def drivers(count, *, seed=5):
    """Load and wind: a daily shape, a weekly one and days that differ."""
    rng = np.random.default_rng(seed)
    steps = np.arange(count)
    day, week = 2 * np.pi * steps / 24, 2 * np.pi * steps / 168
    daily = np.repeat(rng.normal(size=(count // 24 + 1, 2)), 24, axis=0)[:count]
    load = 50 - 10 * np.cos(day) + 4 * np.cos(week) + 5 * daily[:, 0]
    wind = 10 + 4 * daily[:, 1] + rng.normal(size=count)
    return np.column_stack([load, wind])


def knowing(covariates, *, points, horizon, season=24, longer=168, only_past=()):
    """The context of a cutoff after so many points."""
    times = hours(points + horizon)
    columns = 0 if covariates is None else covariates.shape[1]
    beside = np.empty((0, 0)) if covariates is None else covariates
    future = beside[points : points + horizon].copy()
    future[:, list(only_past)] = np.nan
    return ModelContext(
        horizon=horizon,
        season=season,
        long_season=longer,
        times=times[:points],
        future_times=times[points:],
        seed=1,
        names=("load", "wind")[:columns],
        covariates=beside[:points],
        future_covariates=future,
    )
