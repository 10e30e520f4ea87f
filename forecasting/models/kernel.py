"""Kernel ridge over days: alike days had alike prices, a Gaussian process's mean."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.days import COVARIATE_LAGS, PRICE_LAGS, Columns, Day, forecast_days
from forecasting.models import ModelContext, Regime, model
from forecasting.models.lear import suits_days
from forecasting.regression import spread_of

_WINDOWS = (364, 728, 1456)
# How much a difference counts, chosen on the years before the published test years of
# two markets: yesterday's prices 1, older ones less, covariates of the day most.
_PRICES = (1.0, *(0.3 for _ in PRICE_LAGS[1:]))
_TODAY = 2.0
_EARLIER = (0.6, *(0.3 for _ in COVARIATE_LAGS[1:]))
_WEEKDAY = 1.5
# Variance of the noise, as a share of that of the targets; chosen likewise.
_NOISE = 0.1
# Milliseconds of all windows at 24 steps a day.
_COST_MS = 150.0


def _cost(regime: Regime) -> float:
    days = regime.points / max(regime.season, 1)
    return 5 + _COST_MS * min(1.0, days / max(_WINDOWS)) ** 2


@model("kernel", suits=suits_days, cost=_cost, calibration=14, covariates=True)
def kernel(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast a day from all days of the past, each as far as it is alike.

    Days, regressors and windows' mean are those of `lear`; here they act through a
    linear and a Gaussian kernel, so that what a load does to a price may depend on the
    wind. All phases share one solution of the normal equations.

    Args:
        history: known values, shape (n,), no NaN; at least 15 seasons.
        context: horizon, season and covariates are used.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history is too short.

    References:
        Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press 2006,
        section 2.3.
    """
    return forecast_days(history, context, windows=_WINDOWS, fit=_alike)


def _alike(rows: FloatArray, targets: FloatArray, columns: Columns) -> Day:
    weight = _weights(columns)
    centre, spread = rows.mean(axis=0), spread_of(rows, flat=np.inf)
    # Dummies count by what they are, not by how rare a weekday is.
    centre[-columns.weekdays :], spread[-columns.weekdays :] = 0.0, 1.0
    total = float(np.sum(weight[: -columns.weekdays] ** 2))
    factor = weight / spread / np.sqrt(total)
    known = (rows - centre) * factor
    level, size = targets.mean(axis=0), spread_of(targets, flat=1.0)
    gram = _kernel(known, known)
    gram[np.diag_indices_from(gram)] += _NOISE
    # Scipy's solvers take a moment to import; only a job that uses them should pay.
    from scipy.linalg import solve  # type: ignore[import-untyped]  # noqa: PLC0415

    solved = solve(gram, (targets - level) / size, assume_a="pos", overwrite_a=True)

    def day(new: FloatArray) -> FloatArray:
        near = _kernel((new - centre) * factor, known)
        return np.asarray(level + size * (near @ solved))

    return day


def _kernel(left: FloatArray, right: FloatArray) -> FloatArray:
    product = left @ right.T
    norms = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)
    return np.asarray(product + np.exp(product - norms / 2))


def _weights(columns: Columns) -> FloatArray:
    parts = [
        *((columns.prices, weight) for weight in _PRICES),
        (columns.today, _TODAY),
        *((columns.earlier, weight) for weight in _EARLIER),
        (columns.weekdays, _WEEKDAY),
    ]
    return np.concatenate([np.full(count, weight) for count, weight in parts])
