"""Choose the model of one series by its backtest."""

from dataclasses import dataclass

from forecasting.backtest import Fold, Problem, backtest
from forecasting.errors import ModelUnfit
from forecasting.evaluation import mean_absolute, mean_scaled
from forecasting.models import registered_models


@dataclass(frozen=True)
class Candidate:
    """One model that was considered.

    Attributes:
        model: the registered name.
        mase: mean scaled error on the selection windows; None when it cannot be told.
        mae: mean absolute error on the same windows, unit of the series.
        error: why the model was out of the running, or None.
    """

    model: str
    mase: float | None
    mae: float | None
    error: str | None


@dataclass(frozen=True)
class Choice:
    """The chosen model and what it was chosen from.

    Attributes:
        model: the registered name.
        candidates: all models, by name; empty when nothing was compared.
        folds: the chosen model's folds of the selection windows.
    """

    model: str
    candidates: tuple[Candidate, ...] = ()
    folds: tuple[Fold, ...] = ()


def choose_model(problem: Problem, *, cutoffs: tuple[int, ...]) -> Choice:
    """Backtest every registered model on the same windows and take the best.

    Args:
        problem: the series and the horizon.
        cutoffs: cutoffs of the selection windows; without any, nothing is compared.

    Returns:
        The choice; the baseline when no other model had a smaller error.
    """
    if not cutoffs:
        return Choice(problem.baseline)
    tried = {name: _try(problem, name, cutoffs) for name in registered_models()}
    candidates = tuple(candidate for candidate, _ in tried.values())
    best = best_model(candidates, baseline=problem.baseline)
    return Choice(best, candidates, tried[best][1])


def _try(
    problem: Problem, name: str, cutoffs: tuple[int, ...]
) -> tuple[Candidate, tuple[Fold, ...]]:
    try:
        folds = backtest(problem, name=name, cutoffs=cutoffs)
    except ModelUnfit as error:
        return Candidate(name, mase=None, mae=None, error=str(error)), ()
    scaled, absolute = mean_scaled(problem, folds), mean_absolute(folds)
    return Candidate(name, mase=scaled, mae=absolute, error=None), folds


def best_model(candidates: tuple[Candidate, ...], *, baseline: str) -> str:
    """Name the candidate with the least MASE, or MAE where no scale exists.

    Args:
        candidates: the comparison, all on the same windows.
        baseline: wins ties, and when nothing could be compared.

    Returns:
        The name of a model.
    """
    rows = [(_error(c), c.model != baseline, c.model) for c in candidates]
    told = [(error, *rest) for error, *rest in rows if error is not None]
    return str(min(told)[-1]) if told else baseline


def _error(candidate: Candidate) -> float | None:
    return candidate.mae if candidate.mase is None else candidate.mase
