"""The bare libraries' own models, as a user would call them, with their intervals."""

import functools
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # 2.3 ships no types
from statsforecast import models  # type: ignore[import-untyped]  # ships no types
from statsmodels.tsa.exponential_smoothing.ets import (  # type: ignore[import-untyped]
    ETSModel,
)
from statsmodels.tsa.forecasting.theta import (  # type: ignore[import-untyped]
    ThetaModel,
)

from bench.accuracy.naive2 import naive2
from bench.accuracy.windows import LEVELS, Collection, Forecasts, Window
from forecasting.arrays import FloatArray
from forecasting.frequency import parse_frequency
from forecasting.grid import regularise

# Central intervals whose ends are the levels, in per cent.
INTERVALS = (20, 40, 60, 80, 95)
# Years of hours would take the statistical models minutes and tell them little.
RECENT_HOURS = 1_000
_INTERMITTENT = 0.3
_LONGEST_OF_ETS = 12

Said = tuple[FloatArray, FloatArray]
Local = Callable[[FloatArray, Collection], Said]
Suits = Callable[[Collection], bool]


@dataclass(frozen=True)
class Bare:
    """A library's model: history, collection -> mean (h,), quantiles (levels, h)."""

    name: str
    local: Local
    suits: Suits


def filled(window: Window, collection: Collection) -> FloatArray:
    """Return the history without gaps, filled by ``forecasting.grid.regularise``."""
    regular = regularise(
        window.history,
        times=window.times,
        frequency=parse_frequency(collection.frequency),
        season=collection.season,
    )
    return regular.values  # noqa: PD011 - of a series of ours, not of pandas


def run(bare: Bare, collection: Collection) -> Forecasts:
    """Forecast every window; where the model fails the seasonal naive stands in.

    Filling gaps is not counted as the model's time.
    """
    recent = RECENT_HOURS if collection.long_season else 0
    histories = [filled(window, collection)[-recent:] for window in collection.windows]
    found, failed = [], 0
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for history in histories:
            said = _told(bare, history, collection)
            failed += said is None
            found.append(said or seasonal_naive(history, collection))
    seconds = time.process_time() - began
    mean, quantiles = (np.array(part) for part in zip(*found, strict=True))
    return Forecasts(mean, quantiles, seconds, failed)


def _told(bare: Bare, history: FloatArray, collection: Collection) -> Said | None:
    # Libraries raise whatever they like on a short or constant series.
    try:
        mean, quantiles = bare.local(history, collection)
    except Exception:  # noqa: BLE001 - counted and told in the table
        return None
    return (mean, quantiles) if np.isfinite(mean).all() else None


def without_intervals(mean: FloatArray) -> Said:
    """Return a mean with no quantiles."""
    return mean, np.full((len(LEVELS), mean.size), np.nan)


def from_ends(mean: Any, ends: Callable[[int], tuple[Any, Any]]) -> Said:
    """Put the ends of central intervals in the order of the levels; mean is median."""
    rows = {0.5: np.asarray(mean, dtype=np.float64)}
    for percent in INTERVALS:
        tail = round((1 - percent / 100) / 2, 3)
        low, high = ends(percent)
        rows[tail] = np.asarray(low, dtype=np.float64)
        rows[round(1 - tail, 3)] = np.asarray(high, dtype=np.float64)
    return rows[0.5], np.array([rows[level] for level in LEVELS])


def seasonal_naive(history: FloatArray, collection: Collection) -> Said:
    """Forecast with statsforecast's seasonal naive."""
    season = collection.season if history.size > 2 * collection.season else 1
    model = models.SeasonalNaive(season) if season > 1 else models.Naive()
    return _statsforecast(model, history, collection)


def _statsforecast(model: Any, history: FloatArray, collection: Collection) -> Said:
    said = model.forecast(y=history, h=collection.horizon, level=list(INTERVALS))
    if "lo-80" not in said:
        return without_intervals(np.asarray(said["mean"], dtype=np.float64))
    return from_ends(
        said["mean"], lambda percent: (said[f"lo-{percent}"], said[f"hi-{percent}"])
    )


def _naive2(history: FloatArray, collection: Collection) -> Said:
    return without_intervals(
        naive2(history, season=collection.scale_season, horizon=collection.horizon)
    )


def _library(name: str, history: FloatArray, collection: Collection) -> Said:
    model = getattr(models, name)(season_length=collection.season)
    return _statsforecast(model, history, collection)


def _ces(history: FloatArray, collection: Collection) -> Said:
    """Leave out the intervals: they are simulated and cost ten times the mean."""
    said = models.AutoCES(season_length=collection.season).forecast(
        y=history, h=collection.horizon
    )
    return without_intervals(np.asarray(said["mean"], dtype=np.float64))


def _mstl(trend: str, history: FloatArray, collection: Collection) -> Said:
    options = {"model": "ZZN"} if trend == "AutoETS" else {}
    seasons = [collection.season]
    if collection.long_season and history.size > 2 * collection.long_season:
        seasons.append(collection.long_season)
    model = models.MSTL(seasons, trend_forecaster=getattr(models, trend)(**options))
    return _statsforecast(model, history, collection)


def _intermittent(name: str, history: FloatArray, collection: Collection) -> Said:
    options = {"alpha_d": 0.1, "alpha_p": 0.1} if name == "TSB" else {}
    said = getattr(models, name)(**options).forecast(y=history, h=collection.horizon)
    return without_intervals(np.asarray(said["mean"], dtype=np.float64))


def _theta(history: FloatArray, collection: Collection) -> Said:
    steps, season = collection.horizon, collection.season
    seasonal = season > 1 and history.size >= 2 * season
    model = ThetaModel(
        history, period=season if seasonal else None, deseasonalize=seasonal
    )
    fitted = model.fit()

    def ends(percent: int) -> tuple[Any, Any]:
        table = fitted.prediction_intervals(steps, alpha=1 - percent / 100)
        return table["lower"], table["upper"]

    return from_ends(fitted.forecast(steps), ends)


def _ets(history: FloatArray, collection: Collection) -> Said:
    season = collection.season
    seasonal = season > 1 and history.size > 2 * season
    fitted = ETSModel(
        pd.Series(history),
        error="add",
        trend="add",
        damped_trend=True,
        seasonal="add" if seasonal else None,
        seasonal_periods=season if seasonal else None,
    ).fit(disp=False)
    last = history.size + collection.horizon - 1
    told = fitted.get_prediction(start=history.size, end=last)

    def ends(percent: int) -> tuple[Any, Any]:
        table = told.pred_int(alpha=1 - percent / 100)
        return table.iloc[:, 0], table.iloc[:, 1]

    return from_ends(told.predicted_mean, ends)


def _always(_collection: Collection) -> bool:
    return True


def _short_season(one: Collection) -> bool:
    return one.season <= _LONGEST_OF_ETS


def _two_seasons(one: Collection) -> bool:
    return one.long_season is not None


def _zeros(one: Collection) -> bool:
    values = np.concatenate([window.history for window in one.panels[0]])
    return bool(np.mean(values == 0) > _INTERMITTENT)


SEASONAL_NAIVE = "SeasonalNaive"
NAIVE2 = "Naive2"
_part = functools.partial
BARE: Sequence[Bare] = (
    Bare(SEASONAL_NAIVE, seasonal_naive, _always),
    Bare(NAIVE2, _naive2, _always),
    Bare("statsforecast AutoETS", _part(_library, "AutoETS"), _short_season),
    Bare("statsforecast DOT", _part(_library, "DynamicOptimizedTheta"), _always),
    Bare("statsforecast AutoTheta", _part(_library, "AutoTheta"), _short_season),
    Bare("statsforecast AutoCES", _ces, _always),
    Bare(
        "statsforecast AutoARIMA",
        _part(_library, "AutoARIMA"),
        lambda one: one.season == 1,
    ),
    Bare(
        "statsforecast MSTL + ETS",
        _part(_mstl, "AutoETS"),
        lambda one: one.season > 1,
    ),
    Bare("statsforecast MSTL + ARIMA", _part(_mstl, "AutoARIMA"), _two_seasons),
    *(
        Bare(f"statsforecast {name}", _part(_intermittent, name), _zeros)
        for name in ("CrostonSBA", "TSB", "ADIDA", "IMAPA")
    ),
    Bare("statsmodels Theta", _theta, _always),
    Bare("statsmodels ETS", _ets, lambda one: one.season in {1, 4, 7}),
)
