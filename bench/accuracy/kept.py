"""Forecasts kept on disk, so that a run can go on where an earlier one ended."""

import ast
import hashlib
import importlib.metadata
import inspect
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy import baselines, naive2, recursive
from bench.accuracy.windows import LEVELS, Collection, Forecasts

_ROOM = Path(__file__).parents[2] / "forecasting"
_LIBRARIES = ("lightgbm", "numpy", "statsforecast", "statsmodels")


def content(collection: Collection, *, besides: bool = True) -> str:
    """Return a digest of all that a model sees, ``besides`` the series or without."""
    digest = hashlib.sha256()
    seasons = (collection.season, collection.long_season, collection.scale_season)
    digest.update(repr((collection.frequency, *seasons, collection.horizon)).encode())
    for window in collection.windows:
        digest.update(window.unique_id.encode())
        digest.update(window.history.tobytes() + window.times.tobytes())
        if besides and window.covariates is not None:
            digest.update(np.ascontiguousarray(window.covariates).tobytes())
            digest.update(repr((window.names, window.attributes)).encode())
    return digest.hexdigest()[:16]


def bare_code(model: str) -> str:
    """Return a digest of the code that calls a bare model, and of the versions."""
    besides = {baselines.NAIVE2: [naive2], recursive.NAME: [recursive]}
    modules = [baselines, *besides.get(model, [])]
    texts = [_meaning(inspect.getsource(one)) for one in modules]
    return _digest([*texts, *map(importlib.metadata.version, _LIBRARIES), str(LEVELS)])


def room_code() -> str:
    """Return a digest of the forecasting room's code."""
    return _digest(_meaning(path.read_text()) for path in sorted(_ROOM.rglob("*.py")))


def _meaning(source: str) -> str:
    """Return code without comments and layout, which change no forecast."""
    return ast.dump(ast.parse(source))


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()[:16]


def forecasts(path: Path, make: Callable[[], tuple[Forecasts, dict[str, Any]]]) -> Any:
    """Return kept forecasts and what was told with them, or make and keep them."""
    found = _read(path)
    if found is None:
        found = make()
        _write(path, *found)
    return found


def _read(path: Path) -> tuple[Forecasts, dict[str, Any]] | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            told = json.loads(str(stored["told"]))
            mean, quantiles = stored["mean"], stored["quantiles"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    return Forecasts(mean, quantiles, told.pop("seconds"), told.pop("fallbacks")), told


def _write(path: Path, made: Forecasts, told: dict[str, Any]) -> None:
    told = {**told, "seconds": made.seconds, "fallbacks": made.fallbacks}
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partly.npz")
    np.savez_compressed(
        aside, mean=made.mean, quantiles=made.quantiles, told=np.array(json.dumps(told))
    )
    aside.replace(path)
