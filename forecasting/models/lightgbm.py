"""LightGBM: direct forecasts by boosted trees on lags and the calendar."""

from collections.abc import Callable
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.features import LagPlan, anchor, feature_rows
from forecasting.fitting import contained_fit
from forecasting.models import ModelContext, always, milliseconds, model

# Cost bounds: about one year of hours, and the sample of (cutoff, step) rows drawn from
# it. More rows of the same series gained nothing on loads, prices and M4 hours.
_POINTS_USED = 9_000
_ROWS_USED = 20_000
_LEAST_CUTOFFS = 20
# Cutoffs within a 24th of the season (an hour of a day) of the forecast's own phase are
# preferred, as long as they make this many rows.
_PHASES = 24
_LEAST_ROWS = 2_000
_ROUNDS = 200
_PARAMETERS = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "verbose": -1,
    # One thread, everywhere: a forked worker hangs in OpenMP threads it did not start.
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}


@model("lightgbm", suits=always, cost=milliseconds(500), calibration=14)
def lightgbm(history: FloatArray, context: ModelContext) -> FloatArray:
    """Correct the seasonal naive with trees that know lags, means and the calendar.

    The step ahead is a feature, so one model serves the whole horizon. Trained on the
    last 9,000 points (more for longer seasons) and at most 20,000 sampled rows.

    Args:
        history: known values, shape (n,), no NaN; about four seasons and the horizon.
        context: everything is used; the seed draws the rows and the trees' samples.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history is too short, or the fit failed.

    References:
        Ke et al., LightGBM: A Highly Efficient Gradient Boosting Decision Tree,
        NeurIPS 2017.
    """
    plan = LagPlan(season=context.season, long_season=_long_season(history, context))
    least = plan.reach + context.horizon + max(_LEAST_CUTOFFS, context.season)
    if history.size < least:
        raise ModelUnfit(f"lightgbm needs {least} points and got {history.size}")
    used = slice(-max(_POINTS_USED, 2 * least), None)
    values, times = history[used], context.times[used]
    cutoffs, steps = _sample(values.size, plan, context)
    naive = anchor(values, cutoffs=cutoffs, steps=steps, season=plan.season)
    rows = feature_rows(
        values,
        target_times=times[cutoffs + steps],
        cutoffs=cutoffs,
        steps=steps,
        plan=plan,
    )
    correct = _train(rows, target=values[cutoffs + steps] - naive, seed=context.seed)
    ahead = np.arange(1, context.horizon + 1)
    latest = np.full(context.horizon, values.size - 1)
    rows = feature_rows(
        values,
        target_times=context.future_times,
        cutoffs=latest,
        steps=ahead,
        plan=plan,
    )
    naive = anchor(values, cutoffs=latest, steps=ahead, season=plan.season)
    return naive + correct(rows)


def _long_season(history: FloatArray, context: ModelContext) -> int | None:
    # Three long seasons: one for the lags, and at least two to learn from.
    if context.long_season and history.size >= 3 * context.long_season:
        return context.long_season
    return None


def _sample(length: int, plan: LagPlan, context: ModelContext) -> tuple[Any, Any]:
    cutoffs = _alike(np.arange(plan.reach - 1, length - 1), length - 1, context)
    pairs = cutoffs.size * context.horizon
    if pairs > _ROWS_USED:
        rng = np.random.default_rng(context.seed)
        chosen = np.sort(rng.choice(pairs, size=_ROWS_USED, replace=False))
    else:
        chosen = np.arange(pairs)
    cutoff, step = cutoffs[chosen // context.horizon], chosen % context.horizon + 1
    known = cutoff + step < length
    return cutoff[known], step[known]


def _alike(cutoffs: Any, latest: int, context: ModelContext) -> Any:
    # A forecast made at midnight learns most from other midnights: as the phase of the
    # cutoff is then nearly constant, the trees need not split on it first.
    away = (latest - cutoffs) % context.season
    away = np.minimum(away, context.season - away)
    near = cutoffs[away <= context.season // _PHASES]
    return near if near.size * context.horizon >= _LEAST_ROWS else cutoffs


def _train(
    rows: FloatArray, *, target: FloatArray, seed: int
) -> Callable[[FloatArray], FloatArray]:
    # Importing it here keeps the parent of forked workers free of OpenMP.
    from lightgbm import Dataset, train  # noqa: PLC0415

    # The library keeps targets in single precision: without a scale they may overflow.
    scale = float(np.abs(target).max()) or 1.0
    # Its seed is a signed 32-bit integer.
    parameters = _PARAMETERS | {"seed": seed % (2**31 - 1)}
    with contained_fit("lightgbm"):
        examples = Dataset(rows, label=target / scale, params=parameters)
        booster = train(parameters, examples, num_boost_round=_ROUNDS)
    return lambda new: scale * np.asarray(booster.predict(new, num_threads=1))
