"""Walk-forward: parameters are picked on the past and trade the bars that follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from forecasting.bars import Bars, Stances
from forecasting.errors import InvalidSeries
from forecasting.ledger import Rules, trade
from forecasting.performance import performance
from forecasting.strategies import Parameters, Strategy

_MOST_SIMULATED = 5_000_000
"""Bars that all windows and combinations may walk in all: about half a minute."""


@dataclass(frozen=True, kw_only=True)
class WalkForward:
    """How parameters are picked.

    Attributes:
        train: bars before a window that its parameters are picked on, at least 2.
        test: bars of a window, at least 1.
        grid: values to try for each parameter named.
        metric: what the best parameters have most of.
    """

    train: int
    test: int
    grid: Mapping[str, Sequence[Any]]
    metric: Literal["total_return", "sharpe"] = "total_return"


@dataclass(frozen=True, kw_only=True)
class Window:
    """One pick: parameters and the half-open stretch of bars that they decided at.

    Attributes:
        train_from: time of the first bar looked at; the past ends before ``start``.
        start: first bar decided at.
        stop: the bar after the latest decided at.
        parameters: those picked.
        score: their metric on the past, costs included; None where none has one.
    """

    train_from: np.datetime64
    start: int
    stop: int
    parameters: dict[str, Any]
    score: float | None


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account that a pick is judged by.

    Attributes:
        rules: sizes and costs.
        short: whether it may go short.
        risk_free: yearly rate.
    """

    rules: Rules
    short: bool = False
    risk_free: float = 0.0


def decide(
    strategy: Strategy, bars: Bars, parameters: Parameters, *, short: bool
) -> Stances:
    """Return a strategy's stances, flat in place of short where that is not allowed."""
    stances = strategy.decide(bars, parameters)
    return stances if short else np.maximum(stances, 0)


def walk(
    strategy: Strategy,
    bars: Bars,
    *,
    tried: Sequence[Parameters],
    plan: WalkForward,
    account: Account,
    first: int,
) -> tuple[Stances, list[Window]]:
    """Pick parameters for one window after the other, each on the bars before it.

    Args:
        strategy: what decides.
        bars: all prices.
        tried: the combinations; of equals the earlier wins.
        plan: lengths and metric.
        account: what orders cost while a combination is judged.
        first: first bar of the first window, with ``plan.train`` bars before it.

    Returns:
        Stances, shape (n,), flat before ``first``; and the windows.

    Raises:
        InvalidSeries: the work is too much.
    """
    starts = range(first, bars.prices.size, plan.test)
    simulated = len(starts) * len(tried) * plan.train
    if simulated > _MOST_SIMULATED:
        raise InvalidSeries(
            f"walk_forward would walk {simulated} bars, above {_MOST_SIMULATED}: "
            "take longer windows, a shorter past or a smaller grid"
        )
    # A stance knows its bar and those before: all may be computed once, cut after.
    candidates = [decide(strategy, bars, one, short=account.short) for one in tried]
    stances = np.zeros(bars.prices.size, np.int8)
    windows = []
    for start in starts:
        past = slice(start - plan.train, start)
        scores = [_score(bars, one, past, plan, account) for one in candidates]
        best = max(range(len(tried)), key=lambda at: _rank(scores[at]))
        stop = min(start + plan.test, bars.prices.size)
        stances[start:stop] = candidates[best][start:stop]
        windows.append(
            Window(
                train_from=bars.times[past.start],
                start=start,
                stop=stop,
                parameters=tried[best].model_dump(mode="json"),
                score=scores[best],
            )
        )
    return stances, windows


def _rank(score: float | None) -> float:
    return -np.inf if score is None else score


def _score(
    bars: Bars, stances: Stances, past: slice, plan: WalkForward, account: Account
) -> float | None:
    ledger = trade(bars.prices[past], stances[past], rules=account.rules)
    figures = performance(ledger, times=bars.times[past], risk_free=account.risk_free)
    score: float | None = getattr(figures, plan.metric)
    return score
