"""The shelf of models: one file each, found by walking the folder.

A local model is a function of one history and its context that returns the mean
forecast. A global model is fitted once on many histories and then forecasts each.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from forecasting.arrays import FloatArray
from forecasting.cases import Case as Case
from forecasting.cases import Contributions as Contributions
from forecasting.cases import Fitted as Fitted
from forecasting.cases import ModelContext as ModelContext
from forecasting.cases import Regime as Regime

Predict: TypeAlias = Callable[[FloatArray, ModelContext], FloatArray]
Fit: TypeAlias = Callable[[Sequence[Case]], Fitted]
Restore: TypeAlias = Callable[[bytes], Fitted]
Suits: TypeAlias = Callable[[Regime], bool]
Cost: TypeAlias = Callable[[Regime], float]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A registered model; exactly one of ``local`` and ``fit`` is given.

    Attributes:
        name: the public name.
        local: history (n,) without NaN, context -> mean (horizon,), same unit; raises
            ModelUnfit when the history does not allow a fit.
        fit: cases -> a fitted global model; raises ModelUnfit.
        restore: the state of a fitted global model -> the same model.
        calibration: backtest windows worth its CPU time for the quantiles.
        equivariant: whether shifting or scaling the history does the same to the mean.
        covariates: whether it uses covariates.
        suits: whether "auto" tries it on series of this kind.
        cost: CPU milliseconds for a fit and a forecast of one series, estimated. A
            fixed formula and never a clock, so that a budget decides the same twice.
    """

    name: str
    local: Predict | None = None
    fit: Fit | None = None
    restore: Restore | None = None
    calibration: int = 10
    equivariant: bool = False
    covariates: bool = False
    suits: Suits
    cost: Cost

    def predict(self, history: FloatArray, context: ModelContext) -> FloatArray:
        """Forecast one series that is all there is to learn from.

        Raises:
            ModelUnfit: the history does not allow a fit.
        """
        if self.local is not None:
            return self.local(history, context)
        assert self.fit is not None  # noqa: S101 - one of the two is given
        case = Case(history, context)
        return self.fit([case]).predict([case])[0]


_REGISTRY: dict[str, Model] = {}


def always(_regime: Regime) -> bool:
    """Suit every kind of series."""
    return True


def never(_regime: Regime) -> bool:
    """Suit no kind: "auto" leaves the model to callers who name it."""
    return False


def milliseconds(each: float) -> Cost:
    """Cost the same for every series."""
    return lambda _regime: each


def model(
    name: str,
    *,
    suits: Suits,
    cost: Cost,
    calibration: int = 10,
    equivariant: bool = False,
    covariates: bool = False,
) -> Callable[[Predict], Predict]:
    """Register the decorated function as a local model under a public name.

    Raises:
        ValueError: the name is taken.
    """

    def register(predict: Predict) -> Predict:
        _register(
            Model(
                name=name,
                local=predict,
                calibration=calibration,
                equivariant=equivariant,
                covariates=covariates,
                suits=suits,
                cost=cost,
            )
        )
        return predict

    return register


def global_model(
    name: str,
    *,
    suits: Suits,
    cost: Cost,
    restore: Restore,
    covariates: bool = False,
) -> Callable[[Fit], Fit]:
    """Register the decorated function as the fit of a global model.

    Raises:
        ValueError: the name is taken.
    """

    def register(fit: Fit) -> Fit:
        _register(
            Model(
                name=name,
                fit=fit,
                restore=restore,
                covariates=covariates,
                suits=suits,
                cost=cost,
            )
        )
        return fit

    return register


def _register(new: Model) -> None:
    if new.name in _REGISTRY:
        raise ValueError(f"two models are called {new.name!r}")
    _REGISTRY[new.name] = new


@cache
def registered_models() -> dict[str, Model]:
    """Find the models of the folder, by name in alphabetical order."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    return dict(sorted(_REGISTRY.items()))
