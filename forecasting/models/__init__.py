"""The shelf of models: one file each, found by walking the folder.

A model is a function of the history and its context that returns the mean forecast.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from forecasting.arrays import FloatArray, TimeArray


@dataclass(frozen=True, kw_only=True)
class ModelContext:
    """What a model knows besides the history.

    Attributes:
        horizon: steps to forecast.
        season: the season in steps; 1 means none.
        long_season: a second, longer season in steps, or None.
        times: UTC times of the history, shape (n,), datetime64[us].
        future_times: UTC times to forecast, shape (horizon,), datetime64[us].
        seed: seed of every random choice.
    """

    horizon: int
    season: int
    long_season: int | None
    times: TimeArray
    future_times: TimeArray
    seed: int


Predict: TypeAlias = Callable[[FloatArray, ModelContext], FloatArray]


@dataclass(frozen=True)
class Model:
    """A registered model.

    Attributes:
        name: the public name.
        predict: history (n,) without NaN, context -> mean (horizon,), same unit; raises
            ModelUnfit when the history does not allow a fit.
        calibration: backtest windows worth its CPU time for the quantiles.
        equivariant: whether shifting or scaling the history does the same to the mean.
    """

    name: str
    predict: Predict
    calibration: int
    equivariant: bool


_REGISTRY: dict[str, Model] = {}


def model(
    name: str, *, calibration: int = 10, equivariant: bool = False
) -> Callable[[Predict], Predict]:
    """Register the decorated function under a public name.

    Raises:
        ValueError: the name is taken.
    """

    def register(predict: Predict) -> Predict:
        if name in _REGISTRY:
            raise ValueError(f"two models are called {name!r}")
        _REGISTRY[name] = Model(name, predict, calibration, equivariant)
        return predict

    return register


@cache
def registered_models() -> dict[str, Model]:
    """Find the models of the folder, by name in alphabetical order."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    return dict(sorted(_REGISTRY.items()))
