"""A whole backtest: its baseline, its bars and what it warns of."""

import numpy as np
import pytest

from forecasting.bars import Forecasts
from forecasting.errors import InvalidSeries
from forecasting.ledger import Rules, trade
from forecasting.strategy_backtest import StrategyOptions, backtest_strategy
from tests.forecasting.synthetic import days, wave


def run(prices, forecasts=None, **options):
    prices = np.array(prices, float)
    return backtest_strategy(
        prices,
        times=days(prices.size),
        forecasts=forecasts,
        options=StrategyOptions(**{"strategy": "momentum", **options}),
    )


def test_buy_and_hold_has_the_same_bars_and_costs():
    rules = Rules(proportional_bps=20.0, fixed=3.0)
    found = run(wave(50, season=9), rules=rules, parameters={"lookback": 5})
    ones = np.ones(50, np.int8)
    assert found.hold == trade(wave(50, season=9), ones, rules=rules)
    assert found.hold_performance.bars == found.performance.bars == 50
    assert found.hold_performance.orders == 1
    assert found.hold_performance.costs > 3


def test_always_long_is_buy_and_hold():
    level = {"strategy": "threshold", "parameters": {"level": 1e6, "enter": 0.0}}
    found = run(wave(50, season=9), **level)
    assert found.ledger == found.hold


def test_short_is_flat_unless_it_is_allowed():
    prices = [3.0, 2.0, 1.0, 2.0]
    assert run(prices, parameters={"lookback": 1}).stances.tolist() == [0, 0, 0, 1]
    allowed = run(prices, parameters={"lookback": 1}, short=True)
    assert allowed.stances.tolist() == [0, -1, -1, 1]
    assert allowed.ledger.orders[0].side == "sell"


def test_times_without_a_price_are_left_out_and_kept_count_of():
    found = run([1.0, np.nan, 2.0, 3.0, np.nan], parameters={"lookback": 1})
    assert found.prices.tolist() == [1.0, 2.0, 3.0]
    assert found.unpriced.tolist() == days(5)[[1, 4]].tolist()


def test_the_same_call_gives_the_same_answer():
    prices = wave(80, season=9, noise=3.0)
    first, second = (run(prices, strategy="combined") for _ in range(2))
    assert first.ledger == second.ledger
    assert first.performance == second.performance


def test_no_costs_are_no_secret():
    assert any("no costs were given" in told for told in run([1.0, 2.0]).warnings)
    paid = run([1.0, 2.0], rules=Rules(slippage_bps=1.0))
    assert not any("no costs" in told for told in paid.warnings)


def test_what_went_wrong_is_told():
    found = run([10.0, 9.0, 9.0, 100.0, 9.0], parameters={"lookback": 1}, short=True)
    assert any(
        "nothing was left at 2024-01-04T00:00:00Z" in told for told in found.warnings
    )
    found = run([9.0, 10.0, 11.0], parameters={"lookback": 1}, rules=Rules(units=1e6))
    assert any("at 1 bars the cash could not pay" in told for told in found.warnings)


def test_bars_without_a_forecast_are_counted():
    times = days(5)
    known = Forecasts(
        known_from=times[[1, 1]], times=times[[2, 3]], values=np.array([9.0, 9.0])
    )
    found = run([5.0] * 5, known, strategy="threshold")
    assert found.stances.tolist() == [0, 1, 1, 0, 0]
    assert any("at 3 of 5 bars no forecast" in told for told in found.warnings)


@pytest.mark.parametrize("prices", [[], [1.0], [np.nan, 1.0, np.nan]])
def test_one_bar_is_too_few(prices):
    with pytest.raises(InvalidSeries, match="are too few: 2 are needed"):
        run(prices)


def test_a_start_after_the_end_leaves_too_few():
    with pytest.raises(InvalidSeries, match="2 of them to trade at, from the start"):
        run([1.0, 2.0, 3.0], start=days(9)[8])
