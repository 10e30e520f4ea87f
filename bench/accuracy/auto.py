"""Our "auto", called as a room: no job, no database."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # 2.3 ships no types

from bench.accuracy.baselines import filled, seasonal_naive
from bench.accuracy.windows import LEVELS, Collection, Forecasts, Window
from forecasting import forecast
from forecasting.covariates import Covariate
from forecasting.options import ForecastOptions
from forecasting.panel import PanelSeries


@dataclass(frozen=True)
class Answer:
    """The forecasts of "auto", and what it said about them.

    Attributes:
        models: the mean weight of each model over the windows, largest first.
        complaints: what failed, and warnings, with how often.
    """

    forecasts: Forecasts
    models: dict[str, float]
    complaints: dict[str, int]


def run(collection: Collection, *, model: str = "auto") -> Answer:
    """Forecast each panel with ``forecast_panel``, one after the other."""
    options = ForecastOptions(
        horizon=collection.horizon,
        frequency=collection.frequency,
        quantiles=LEVELS,
        model=model,
    )
    panels = [[_series(window, collection) for window in p] for p in collection.panels]
    began = time.process_time()
    answers = [forecast.forecast_panel(panel, options=options) for panel in panels]
    seconds = time.process_time() - began
    return _read(collection, answers, seconds)


def _series(window: Window, collection: Collection) -> Any:
    covariates: tuple[Any, ...] = ()
    if window.covariates is not None:
        grid = pd.date_range(
            window.times[0], periods=len(window.covariates), freq=collection.frequency
        )
        times = grid.to_numpy().astype("datetime64[us]")
        covariates = tuple(
            Covariate(name=name, times=times, values=column)
            for name, column in zip(window.names, window.covariates.T, strict=True)
        )
    return PanelSeries(
        unique_id=window.unique_id,
        values=window.history,
        times=window.times,
        covariates=covariates,
        attributes=window.attributes,
    )


def _read(collection: Collection, answers: list[Any], seconds: float) -> Answer:
    weights: Counter[str] = Counter()
    complaints: Counter[str] = Counter()
    means, quantiles, missing = [], [], 0
    for panel, answer in zip(collection.panels, answers, strict=True):
        by_name = {one.unique_id: one for one in answer.series}
        complaints.update(f"failed: {detail}" for _, detail in answer.failed)
        for window in panel:
            one = by_name.get(window.unique_id)
            if one is None:
                missing += 1
                mean, table = seasonal_naive(filled(window, collection), collection)
            else:
                weights.update(one.weights)
                complaints.update(one.warnings)
                mean = one.mean
                nothing = np.full(collection.horizon, np.nan)
                table = np.array([one.quantiles.get(a, nothing) for a in LEVELS])
            means.append(mean)
            quantiles.append(table)
    forecasts = Forecasts(np.array(means), np.array(quantiles), seconds, missing)
    count = max(len(means) - missing, 1)
    shares = {name: weight / count for name, weight in weights.most_common()}
    return Answer(forecasts, shares, dict(complaints.most_common()))
