"""The figures of a ledger, each against its formula by hand."""

import math
import statistics
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from forecasting.ledger import Ledger, Rules, trade
from forecasting.performance import max_drawdown, performance
from tests.forecasting.synthetic import days, hours, wave


def figures(prices, stances, times=None, risk_free=0.0, **rules):
    prices = np.array(prices, float)
    ledger = trade(prices, np.array(stances, np.int8), rules=Rules(**rules))
    times = days(prices.size) if times is None else times
    return performance(ledger, times=times, risk_free=risk_free)


def curve(equity):
    """The ledger of an account that went through these values without an order."""
    flat = [Decimal(0)] * len(equity)
    worth = [Decimal(repr(float(one))) for one in equity]
    return Ledger(
        first=0,
        orders=[],
        cash=worth,
        position=flat,
        equity=worth,
        unpaid=0,
        ruined=None,
    )


def test_risk_is_that_of_the_formulas():
    equity = [1000.0 + 10 * at + 7 * (-1) ** at for at in range(250)]
    found = performance(curve(equity), times=days(250), risk_free=0.03)
    returns = [b / a - 1 for a, b in pairwise(equity)]
    assert (found.bars, found.returns, found.days) == (250, 249, 249.0)
    assert found.bars_per_year == pytest.approx(365.25)
    spread = statistics.stdev(returns)
    assert found.volatility == pytest.approx(spread * math.sqrt(365.25))
    above = statistics.mean(returns) - (1.03 ** (1 / 365.25) - 1)
    sharpe = above / spread * math.sqrt(365.25)
    assert found.sharpe == pytest.approx(sharpe)
    error = math.sqrt((1 + (above / spread) ** 2 / 2) / 249 * 365.25)
    assert found.sharpe_error == pytest.approx(error)
    assert found.cagr == pytest.approx((equity[-1] / equity[0]) ** (365.25 / 249) - 1)


def test_bars_of_a_year_are_counted_and_not_assumed():
    working = np.array(
        [day for day in days(700) if day.astype("M8[D]").item().weekday() < 5]
    )
    equity = wave(working.size, season=9)
    found = performance(curve(equity), times=working)
    assert found.bars_per_year == pytest.approx(261, abs=1)
    found = performance(curve(wave(500, season=9)), times=hours(500))
    assert found.bars_per_year == pytest.approx(8_766)


def test_trades_are_counted_and_paid_for():
    found = figures(
        [10, 10, 12, 12, 10, 11, 11],
        [1, 1, 0, 1, 1, 0, 0],
        units=10.0,
        cash=1_000.0,
        fixed=1.0,
        proportional_bps=100.0,
    )
    # Bought at 10, sold at 12; bought at 10, sold at 11.
    assert (found.orders, found.trades, found.hit_rate) == (4, 2, 1.0)
    assert (found.fixed, found.proportional, found.slippage) == (4.0, 4.3, 0.0)
    assert found.costs == 8.3
    assert found.final_equity == 1_000 + 20 + 10 - 8.3
    assert found.total_return == 0.0217
    assert found.exposure == 4 / 7
    # Bought at 10 (2 of cost), 20 more, 2.2 of cost; 10 more, 2.1 of cost.
    mean = (1_000 + 998 + 1_018 + 1_015.8 + 1_013.8 + 1_023.8 + 1_021.7) / 7
    assert found.turnover == pytest.approx(430 / mean)


def test_a_round_trip_that_only_pays_its_costs_is_no_hit():
    found = figures([10, 10, 10, 10], [1, 0, 0, 0], units=1.0)
    assert (found.trades, found.hit_rate) == (1, 0.0)


def test_what_cannot_be_told_is_not():
    idle = figures([10.0] * 30, [0] * 30)
    assert (idle.volatility, idle.sharpe, idle.sharpe_error) == (0.0, None, None)
    assert (idle.hit_rate, idle.cagr, idle.trades) == (None, None, 0)
    assert (idle.exposure, idle.turnover, idle.total_return) == (0.0, 0.0, 0.0)
    short = figures(wave(20, season=7), [1] * 20)
    assert (short.returns, short.volatility, short.sharpe) == (19, None, None)
    single = figures([10.0], [1])
    assert (single.bars, single.days, single.bars_per_year) == (1, 0.0, None)


def test_a_ruined_account_has_no_rates():
    prices = [10.0] * 10 + [50.0] * 190
    found = figures(prices, [-1] * 200)
    assert found.total_return < -1
    assert found.max_drawdown > 1
    assert (found.cagr, found.volatility, found.sharpe) == (None, None, None)


def test_growth_beyond_all_measure_is_not_told():
    prices = [1.0, 1.0] + [1e6] * 90
    assert figures(prices, [1] * 92).cagr is None


def test_the_deepest_fall_counts_from_the_peak_before_it():
    assert max_drawdown(np.array([100.0, 80.0, 200.0, 120.0, 130.0])) == 0.4
    assert max_drawdown(np.array([1.0, 2.0, 3.0])) == 0.0
