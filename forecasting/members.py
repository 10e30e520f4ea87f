"""Which models are tried on a group of series, and on how many backtest windows.

Decided from fixed estimates of cost, never from a clock: the same request decides the
same twice, on any machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.backtest import Problem
from forecasting.cases import Regime
from forecasting.models import Model, registered_models
from forecasting.options import ForecastOptions

# Residuals of a step that quantiles are wanted from, over all series of the group.
_WANTED_RESIDUALS = 120
_MOST_WINDOWS = 30
# A global model is fitted again after so many windows.
_WINDOWS_A_FIT = 4
_BASE_S = 12.0
_FIRST_SERIES = 200
_FIRST_S = 2.0
_LATER_S = 0.15
_BASELINES = ("naive", "seasonal_naive")


@dataclass(frozen=True)
class Line:
    """The models that are tried and how deep.

    Attributes:
        names: of the models.
        windows: backtest windows, at most.
        refits: fits of each global model during the backtest.
        dropped: models that suit but do not fit the budget.
        cost_s: estimated CPU seconds.
    """

    names: tuple[str, ...]
    windows: int
    refits: int
    dropped: tuple[str, ...]
    cost_s: float


def regime_of(problems: Sequence[Problem]) -> Regime:
    """Describe a group of series for the models to say whether they suit.

    Args:
        problems: at least one, all of the same season and horizon.

    Returns:
        Their regime.
    """
    values = [problem.series.values for problem in problems]
    points = [one.size for one in values]
    zeros = sum(int(np.count_nonzero(one == 0)) for one in values)
    return Regime(
        series=len(problems),
        points=int(np.median(points)),
        season=problems[0].season,
        horizon=problems[0].horizon,
        zeros=zeros / sum(points),
        positive=all(float(one.min()) > 0 for one in values),
        covariates=max(_known_ahead(problem) for problem in problems),
    )


def _known_ahead(problem: Problem) -> int:
    ahead = problem.context(problem.final).future_covariates
    return int((~np.isnan(ahead).all(axis=0)).sum())


def line_up(regime: Regime, *, options: ForecastOptions) -> Line:
    """Choose the models to try and the number of windows within the budget.

    Named models are all tried. Otherwise the most expensive ones are left out until
    the rest can be judged on the windows asked for, then windows are added for the
    quantiles as far as the budget goes.

    Args:
        regime: what the series are like.
        options: the wish.

    Returns:
        The line.
    """
    models = registered_models()
    names = list(options.named) or [n for n, one in models.items() if one.suits(regime)]
    budget = _budget_s(regime, options)
    dropped = []
    while not options.named and _cost_s(regime, names, options.windows) > budget:
        costly = [name for name in names if name not in _BASELINES]
        if not costly:
            break
        dropped.append(max(costly, key=lambda name: models[name].cost(regime)))
        names.remove(dropped[-1])
    wanted = min(-(-_WANTED_RESIDUALS // regime.series), _MOST_WINDOWS)
    windows = max(wanted, options.windows + 1)
    while windows > options.windows + 1 and _cost_s(regime, names, windows) > budget:
        windows -= 1
    return Line(
        names=tuple(names),
        windows=windows,
        refits=_refits(windows),
        dropped=tuple(dropped),
        cost_s=_cost_s(regime, names, windows),
    )


def _refits(windows: int) -> int:
    return -(-windows // _WINDOWS_A_FIT)


def _budget_s(regime: Regime, options: ForecastOptions) -> float:
    if options.budget_s is not None:
        return options.budget_s
    first = min(regime.series, _FIRST_SERIES)
    return _BASE_S + _FIRST_S * first + _LATER_S * (regime.series - first)


def _cost_s(regime: Regime, names: Sequence[str], windows: int) -> float:
    models = registered_models()
    fits = {True: windows + 1, False: _refits(windows) + 1}
    each_ms = sum(
        models[name].cost(regime) * fits[_is_local(models[name])] for name in names
    )
    return regime.series * each_ms / 1000


def _is_local(model: Model) -> bool:
    return model.local is not None
