"""A strategy on the bars of one series, beside buying once and holding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray, TimeArray
from forecasting.bars import Bars, Forecasts, Stances
from forecasting.errors import InvalidSeries
from forecasting.ledger import InvalidPrice, Ledger, Rules, check_prices, trade
from forecasting.performance import Performance, performance
from forecasting.signals import next_forecasts
from forecasting.strategies import Parameters, combinations, find_strategy
from forecasting.walk_forward import (
    Account,
    WalkForward,
    Window,
    decide,
    walk,
)

_FEWEST_BARS = 2
"""One to decide at, one to fill at."""


@dataclass(frozen=True, kw_only=True)
class StrategyOptions:
    """What to trade by, and on which terms.

    Attributes:
        strategy: the name of a registered strategy.
        parameters: its parameters; what is left out has its default.
        rules: sizes and costs.
        short: whether the account may go short.
        risk_free: yearly rate, above -1.
        start: the account begins at the first bar from here on; the bars before are
            context. None begins at the first bar.
        walk_forward: how parameters are picked on the past, or None to take them
            as they are.
    """

    strategy: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    short: bool = False
    risk_free: float = 0.0
    start: np.datetime64 | None = None
    walk_forward: WalkForward | None = None


@dataclass(frozen=True, kw_only=True)
class StrategyBacktest:
    """What became of it; arrays hold one entry for each bar of the account.

    Attributes:
        times: UTC, shape (bars,).
        prices: shape (bars,).
        stances: decided at each bar, filled at the next, shape (bars,).
        ledger: of the strategy; its bars count from ``ledger.first``.
        hold: the ledger of buying at the first fill and holding.
        performance: of the strategy.
        hold_performance: of buying and holding.
        parameters: with all defaults.
        windows: the picks of the walk-forward; empty without.
        context_bars: bars before the account began.
        unpriced: times without a price, which are no bars.
        warnings: what the reader should know.
    """

    times: TimeArray
    prices: FloatArray
    stances: Stances
    ledger: Ledger
    hold: Ledger
    performance: Performance
    hold_performance: Performance
    parameters: dict[str, Any]
    windows: tuple[Window, ...]
    context_bars: int
    unpriced: TimeArray
    warnings: tuple[str, ...]


def backtest_strategy(
    values: FloatArray,
    *,
    times: TimeArray,
    options: StrategyOptions,
    forecasts: Forecasts | None = None,
) -> StrategyBacktest:
    """Trade a strategy on past prices, each decision knowing only what came before.

    Args:
        values: prices, shape (n,); NaN is a time without a price, and no bar.
        times: UTC, shape (n,), ascending; any step, such as trading days or hours.
        options: what to trade by.
        forecasts: of the price, for strategies that compare with them.

    Returns:
        Ledgers, stances and figures.

    Raises:
        InvalidSeries: too few bars, a price that cannot be traded at, or no forecasts
            for a strategy that needs them.
        ValueError: the strategy does not exist or does not take the parameters.

    References:
        Pardo (2008), The Evaluation and Optimization of Trading Strategies, ch. 11.
    """
    priced = np.isfinite(values)
    bars = Bars(times=times[priced], prices=values[priced], forecasts=forecasts)
    first = _first_bar(bars, options)
    try:
        check_prices(bars.prices, rules=options.rules, first=first - _past(options))
    except InvalidPrice as error:
        row = int(np.flatnonzero(priced)[error.bar])
        raise InvalidSeries(f"row {row} ({_at(times[row])}): {error.reason}") from error
    strategy = find_strategy(options.strategy)
    chosen = strategy.parameters.model_validate(dict(options.parameters))
    stances, windows = _stances(bars, options, first)
    shown = bars.times[first:]
    rules = options.rules
    ledger = trade(bars.prices, stances, rules=rules, first=first)
    hold = trade(bars.prices, np.ones_like(stances), rules=rules, first=first)
    return StrategyBacktest(
        times=shown,
        prices=bars.prices[first:],
        stances=stances[first:],
        ledger=ledger,
        hold=hold,
        performance=performance(ledger, times=shown, risk_free=options.risk_free),
        hold_performance=performance(hold, times=shown, risk_free=options.risk_free),
        parameters=chosen.model_dump(mode="json"),
        windows=tuple(windows),
        context_bars=first,
        unpriced=times[~priced],
        warnings=tuple(_warnings(bars, ledger, options, chosen)),
    )


def _past(options: StrategyOptions) -> int:
    return 0 if options.walk_forward is None else options.walk_forward.train


def _first_bar(bars: Bars, options: StrategyOptions) -> int:
    start = options.start
    first = 0 if start is None else int(np.searchsorted(bars.times, start))
    first = max(first, _past(options))
    if bars.times.size - first < _FEWEST_BARS:
        needed = _FEWEST_BARS + _past(options)
        raise InvalidSeries(
            f"{bars.times.size} bars with a price are too few: {needed} are needed, "
            f"{_FEWEST_BARS} of them to trade at, from the start on"
        )
    return first


def _stances(
    bars: Bars, options: StrategyOptions, first: int
) -> tuple[Stances, list[Window]]:
    strategy = find_strategy(options.strategy)
    plan = options.walk_forward
    if plan is None:
        parameters = strategy.parameters.model_validate(dict(options.parameters))
        return decide(strategy, bars, parameters, short=options.short), []
    account = Account(
        rules=options.rules, short=options.short, risk_free=options.risk_free
    )
    tried = combinations(strategy, parameters=options.parameters, grid=plan.grid)
    return walk(strategy, bars, tried=tried, plan=plan, account=account, first=first)


def _warnings(
    bars: Bars, ledger: Ledger, options: StrategyOptions, chosen: Parameters
) -> list[str]:
    rules = options.rules
    told = []
    if not (rules.proportional_bps or rules.fixed or rules.slippage_bps):
        told.append("no costs were given, so every trade looks better than it was")
    if options.walk_forward is None:
        told.append(
            "the parameters were given: if they were chosen with these bars in mind, "
            "the figures flatter them; walk_forward picks them on the past only"
        )
    if chosen.needs_forecasts:
        unknown = int(np.isnan(next_forecasts(bars, ahead=1)[ledger.first :]).sum())
        if unknown:
            told.append(
                f"at {unknown} of {len(ledger.equity)} bars no forecast of the next "
                "bar was known, so there was nothing to stand on"
            )
    if ledger.unpaid:
        told.append(
            f"at {ledger.unpaid} bars the cash could not pay the order that was wanted"
        )
    if ledger.ruined is not None:
        told.append(
            f"nothing was left at {_at(bars.times[ledger.ruined])}; "
            "no order opened after it"
        )
    return told


def _at(instant: np.datetime64) -> str:
    return f"{np.datetime_as_string(instant, unit='s')}Z"
