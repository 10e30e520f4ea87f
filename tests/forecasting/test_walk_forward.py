"""Parameters picked on the past: what was picked, and that the future had no say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidSeries
from forecasting.ledger import Rules, trade
from forecasting.strategy_backtest import StrategyOptions, backtest_strategy
from forecasting.walk_forward import WalkForward
from tests.forecasting.synthetic import days, wave


def run(prices, *, grid, train=20, test=10, metric="total_return", **given):
    plan = WalkForward(train=train, test=test, grid=grid, metric=metric)
    options = StrategyOptions(
        **{"strategy": "momentum", "walk_forward": plan, **given},
    )
    return backtest_strategy(prices, times=days(prices.size), options=options)


def stances_of(prices, lookback, **given):
    """The stances without a walk-forward, over all bars."""
    options = StrategyOptions(
        strategy="momentum", parameters={"lookback": lookback}, **given
    )
    return backtest_strategy(prices, times=days(prices.size), options=options).stances


def test_each_window_is_traded_with_what_did_best_on_its_past():
    # A wave rewards the shortest lookback; a zigzag that climbs punishes it.
    zigzag = 100 + np.arange(40) + 5.0 * (-1) ** np.arange(40)
    prices = np.append(wave(35, season=12), zigzag)
    rules = Rules(proportional_bps=20.0)
    found = run(prices, grid={"lookback": [1, 3, 6, 9]}, rules=rules, short=True)
    assert [(one.start, one.stop) for one in found.windows] == [
        (20, 30),
        (30, 40),
        (40, 50),
        (50, 60),
        (60, 70),
        (70, 75),
    ]
    every = {n: stances_of(prices, n, short=True) for n in (1, 3, 6, 9)}
    for one in found.windows:
        past = slice(one.start - 20, one.start)
        gains = {
            n: trade(prices[past], stances[past], rules=rules).equity[-1]
            for n, stances in every.items()
        }
        best = max(gains, key=gains.get)
        assert one.parameters["lookback"] == best
        assert one.score == pytest.approx(float(gains[best]) / 10_000 - 1)
        assert one.train_from == days(75)[one.start - 20]
        shown = slice(one.start - 20, one.stop - 20)
        assert (
            found.stances[shown].tolist() == every[best][one.start : one.stop].tolist()
        )
    assert len({one.parameters["lookback"] for one in found.windows}) > 1
    assert not any("the parameters were given" in told for told in found.warnings)


def test_of_equals_the_first_of_the_grid_wins():
    prices = np.full(40, 10.0)
    found = run(prices, grid={"lookback": [7, 3]}, metric="sharpe")
    assert [one.parameters["lookback"] for one in found.windows] == [7, 7]
    assert [one.score for one in found.windows] == [None, None]


def test_the_account_begins_after_the_first_past():
    prices = wave(60, season=12)
    found = run(prices, grid={"lookback": [3]}, train=30)
    assert (found.context_bars, found.ledger.first, found.times[0]) == (
        30,
        30,
        days(60)[30],
    )
    later = run(prices, grid={"lookback": [3]}, train=30, start=days(60)[40])
    assert later.context_bars == 40


@settings(deadline=None, max_examples=25)
@given(
    bar=st.integers(22, 69), after=st.sampled_from([0.5, 1e6]), seed=st.integers(0, 9)
)
def test_prices_after_a_bar_change_no_position_decided_up_to_it(bar, after, seed):
    prices = wave(70, season=9, noise=5.0, seed=seed)
    changed = prices.copy()
    changed[bar + 1 :] *= after
    grid = {"lookback": [1, 4], "enter": [0.0, 0.02]}
    whole, other = (run(one, grid=grid, short=True) for one in (prices, changed))
    cut = run(prices[: bar + 1], grid=grid, short=True)
    bars = bar + 1 - 20
    for found in (whole, other):
        assert found.stances[:bars].tolist() == cut.stances.tolist()
        assert found.ledger.equity[:bars] == cut.ledger.equity
        assert [one for one in found.ledger.orders if one.bar <= bar] == (
            cut.ledger.orders
        )


def test_work_beyond_measure_is_refused():
    prices = np.full(20_000, 10.0)
    with pytest.raises(InvalidSeries, match=r"walk_forward would walk .* smaller grid"):
        run(prices, grid={"lookback": [1, 2]}, train=5_000, test=1)


def test_the_past_must_be_tradeable_too():
    prices = np.full(40, 10.0)
    prices[5] = -1.0
    with pytest.raises(
        InvalidSeries, match=r"row 5 \(2024-01-06T00:00:00Z\): the price"
    ):
        run(prices, grid={"lookback": [3]})
    assert run(prices, grid={"lookback": [3]}, rules=Rules(units=1.0)).windows
    assert run(prices, grid={"lookback": [3]}, start=days(40)[26]).windows


def test_too_short_a_series_is_told_what_is_needed():
    with pytest.raises(InvalidSeries, match="21 bars with a price are too few: 22 are"):
        run(np.full(21, 10.0), grid={"lookback": [3]})
