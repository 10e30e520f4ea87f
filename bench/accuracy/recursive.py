"""LightGBM called bare: one step ahead on differences, fed back, as recipes show."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # 2.3 ships no types
from lightgbm import LGBMRegressor

from bench.accuracy.baselines import filled, without_intervals
from bench.accuracy.windows import Collection, Forecasts, Window
from forecasting.arrays import FloatArray

NAME = "LightGBM recursive"
# Rows to learn from, of each series: a year of hours.
_RECENT = 8_760
_LONGEST_LAG = 25


@dataclass(frozen=True)
class _Track:
    """One series as differences over a season, in units of their mean size."""

    history: FloatArray
    steps: FloatArray
    scale: float
    columns: FloatArray


def lags_of(collection: Collection) -> tuple[int, ...]:
    """Return the lags of the differences that are features."""
    season = collection.season
    near = range(1, min(season + 1, _LONGEST_LAG) + 1) if season > 1 else range(1, 5)
    far = {season, 2 * season} if season > 1 else set()
    far |= {collection.long_season} if collection.long_season else set()
    return tuple(sorted({*near, *far}))


def run(collection: Collection) -> Forecasts:
    """Fit one model for each panel and forecast its windows step by step."""
    prepared = [
        [_track(window, collection) for window in panel] for panel in collection.panels
    ]
    began = time.process_time()
    mean = np.concatenate([_panel(tracks, collection) for tracks in prepared])
    seconds = time.process_time() - began
    quantiles = np.array([without_intervals(row)[1] for row in mean])
    return Forecasts(mean, quantiles, seconds)


def _track(window: Window, collection: Collection) -> _Track:
    values = filled(window, collection)
    season = collection.season if values.size > 2 * collection.season else 1
    differences = values[season:] - values[:-season]
    scale = float(np.abs(differences).mean()) or 1.0
    columns = _columns(window, collection, points=values.size)
    return _Track(values, differences / scale, scale, columns[season:])


def _columns(window: Window, collection: Collection, *, points: int) -> FloatArray:
    """Return calendar and covariates of the history and the steps to forecast."""
    grid = pd.date_range(
        window.times[-1], periods=collection.horizon + 1, freq=collection.frequency
    )
    times = pd.DatetimeIndex(window.times[-points:]).append(grid[1:])
    minutes = times.hour * 60 + times.minute
    columns = [minutes, times.dayofweek, times.dayofyear]
    if window.covariates is not None:
        columns += list(window.covariates[-times.size :].T)
    return np.array(columns, dtype=np.float64).T


def _panel(tracks: list[_Track], collection: Collection) -> FloatArray:
    lags = lags_of(collection)
    parts = [_rows(track, lags) for track in tracks]
    model = LGBMRegressor(
        n_estimators=300,
        learning_rate=0.05,
        random_state=0,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    model.fit(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    return _feed_back(model, tracks, collection)


def _rows(track: _Track, lags: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    begin = max(1, track.steps.size - _RECENT)
    targets = np.arange(begin, track.steps.size)
    return _features(track, track.steps, targets, lags), track.steps[targets]


def _features(
    track: _Track, steps: FloatArray, targets: Any, lags: tuple[int, ...]
) -> FloatArray:
    places = np.asarray(targets)[:, None] - np.array(lags)[None, :]
    lagged = np.where(places >= 0, steps[np.clip(places, 0, None)], np.nan)
    return np.concatenate([lagged, track.columns[targets]], axis=1)


def _feed_back(model: Any, tracks: list[_Track], collection: Collection) -> FloatArray:
    grown = [track.steps for track in tracks]
    for _ in range(collection.horizon):
        rows = [
            _features(
                track, np.append(steps, np.nan), [steps.size], lags_of(collection)
            )
            for track, steps in zip(tracks, grown, strict=True)
        ]
        told = model.booster_.predict(np.concatenate(rows), num_threads=1)
        grown = [np.append(s, one) for s, one in zip(grown, told, strict=True)]
    return np.array([_undo(t, s) for t, s in zip(tracks, grown, strict=True)])


def _undo(track: _Track, steps: FloatArray) -> FloatArray:
    season = track.history.size - track.steps.size
    values = list(track.history)
    for step in steps[track.steps.size :] * track.scale:
        values.append(values[-season] + step)
    return np.array(values[track.history.size :])
