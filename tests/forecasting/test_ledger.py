"""Ledgers against the calculation by hand, a slow reference, and the future."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidSeries
from forecasting.ledger import InvalidPrice, Rules, check_prices, decimal, trade
from tests.forecasting import naive_ledger

PRICES = [100.0, 102.0, 105.0, 103.0, 99.0, 98.0, 101.0]
STANCES = [1, 1, 0, -1, -1, 1, 1]


def run(prices, stances, first=0, **rules):
    return trade(
        np.array(prices, float),
        np.array(stances, np.int8),
        rules=Rules(**rules),
        first=first,
    )


def rows(ledger):
    """Each order as the page of an account shows it."""
    return [
        (
            one.bar,
            one.side,
            *(
                str(getattr(one, name).normalize())
                for name in ("quantity", "price", "cost", "cash", "position", "equity")
            ),
        )
        for one in ledger.orders
    ]


def test_a_ledger_is_that_of_the_hand_calculation():
    """10 units, 10 bps and 5 bps of slippage (so 0.15 %), and 1 for each order."""
    ledger = run(
        PRICES,
        STANCES,
        cash=10_000.0,
        units=10.0,
        proportional_bps=10.0,
        slippage_bps=5.0,
        fixed=1.0,
    )
    assert rows(ledger) == [
        # Decided at bar 0 at 100, filled at bar 1 at 102: 1020 * 0.0015 + 1 = 2.53.
        (1, "buy", "1E+1", "102", "2.53", "8977.47", "1E+1", "9997.47"),
        # Decided at bar 2, filled at 103: 1030 * 0.0015 + 1 = 2.545.
        (3, "sell", "1E+1", "103", "2.545", "10004.925", "0", "10004.925"),
        # Short from bar 3, filled at 99: 990 * 0.0015 + 1 = 2.485.
        (4, "sell", "1E+1", "99", "2.485", "10992.44", "-1E+1", "10002.44"),
        # Long from bar 5, filled at 101: close, then open, each 1010 * 0.0015 + 1.
        (6, "buy", "1E+1", "101", "2.515", "9979.925", "0", "9979.925"),
        (6, "buy", "1E+1", "101", "2.515", "8967.41", "1E+1", "9977.41"),
    ]
    assert [float(one) for one in ledger.equity] == [
        10_000.0,
        9_997.47,  # 8977.47 + 10 * 102
        10_027.47,  # 8977.47 + 10 * 105
        10_004.925,
        10_002.44,  # 10992.44 - 10 * 99
        10_012.44,  # 10992.44 - 10 * 98
        9_977.41,
    ]
    # 10004.925 - 10000, and 9979.925 - 10004.925.
    assert [one.profit for one in ledger.orders] == [
        None,
        decimal(4.925),
        None,
        decimal(-25.0),
        None,
    ]


def test_a_share_of_the_cash_pays_its_own_costs():
    """(10000 * 0.5 - 8) / (20 * 1.04) = 240 units; amount 4800, costs 192 and 8."""
    ledger = run(
        [19.0, 20.0, 25.0],
        [1, 1, 1],
        fraction=0.5,
        proportional_bps=300.0,
        slippage_bps=100.0,
        fixed=8.0,
    )
    (order,) = ledger.orders
    assert (order.quantity, order.cost, order.cash) == (240, 200, 5_000)
    assert (order.proportional, order.slippage, order.fixed) == (144, 48, 8)
    assert ledger.equity == [10_000, 9_800, 11_000]


def test_quantities_are_rounded_down_to_the_lot():
    ledger = run([3.0, 3.0], [1, 0], cash=1_000.0)
    assert str(ledger.orders[0].quantity) == "333.33333333"
    assert ledger.cash[-1] == decimal(1e-8)
    ledger = run([3.0, 3.0], [1, 0], cash=1_000.0, lot=10.0)
    assert (ledger.position[-1], ledger.cash[-1]) == (330, 10)


def test_without_a_stance_nothing_happens():
    ledger = run(PRICES, [0] * 7)
    assert ledger.orders == []
    assert ledger.equity == [10_000] * 7


def test_the_latest_decision_waits_for_a_price():
    assert run(PRICES, [0] * 6 + [1]).orders == []


def test_the_account_begins_where_it_is_told_to():
    ledger = run(PRICES, STANCES, first=4)
    assert ledger.orders[0].bar == 5
    assert len(ledger.equity) == len(ledger.cash) == len(ledger.position) == 3


def test_what_the_cash_cannot_pay_is_not_ordered_and_counted():
    ledger = run([50.0, 40.0, 10.0], [1, 1, 1], cash=100.0, units=5.0)
    assert [order.bar for order in ledger.orders] == [2]
    assert ledger.unpaid == 1
    ledger = run([50.0, 50.0], [1, 1], cash=1.0, fixed=2.0)
    assert (ledger.orders, ledger.unpaid) == ([], 1)


def test_a_negative_price_pays_the_buyer():
    ledger = run([-20.0, -20.0, 5.0], [1, 1, 1], cash=100.0, units=2.0, fixed=1.0)
    assert ledger.cash == [100, 139, 139]
    assert ledger.equity == [100, 99, 149]


def test_a_ruined_account_closes_and_opens_no_more():
    ledger = run([10.0, 10.0, 50.0, 20.0, 10.0], [-1] * 5, cash=100.0)
    assert ledger.ruined == 2
    assert [(order.bar, order.side) for order in ledger.orders] == [
        (1, "sell"),
        (3, "buy"),
    ]
    assert ledger.equity == [100, 100, -300, 0, 0]


@pytest.mark.parametrize("price", [0.0, -3.0, 1e-12])
def test_a_share_of_the_cash_needs_prices_above_zero(price):
    prices = np.array([price, 5.0, price])
    with pytest.raises(InvalidPrice, match=r"bar 2: the price .* give sizing units"):
        check_prices(prices, rules=Rules(), first=1)
    check_prices(prices, rules=Rules(units=1.0))


def test_a_price_beyond_all_digits_is_refused():
    with pytest.raises(
        InvalidSeries, match=r"bar 1: the price -2e\+12 is above 1e\+12 in size"
    ):
        run([1.0, -2e12], [0, 0], units=1.0)


_PRICES = st.lists(
    st.floats(0.01, 1e6).map(lambda price: round(price, 6)), min_size=1, max_size=25
)
_POWER = st.lists(
    st.floats(-500, 3_000).map(lambda price: round(price, 4)), min_size=1, max_size=25
)
_COSTS = {
    "proportional_bps": st.sampled_from([0.0, 0.1, 10.0, 2.5]),
    "slippage_bps": st.sampled_from([0.0, 5.0, 33.3]),
    "fixed": st.sampled_from([0.0, 1.0, 4.95]),
}
_SHARES = st.builds(
    Rules,
    cash=st.sampled_from([10.0, 10_000.0, 123.45]),
    fraction=st.sampled_from([1.0, 0.5, 0.333]),
    lot=st.sampled_from([1e-8, 1.0, 0.01]),
    **_COSTS,
)
_UNITS = st.builds(
    Rules,
    cash=st.sampled_from([100.0, 10_000.0]),
    units=st.sampled_from([0.1, 1.0, 25.0]),
    **_COSTS,
)


@st.composite
def _cases(draw):
    shares = draw(st.booleans())
    prices = draw(_PRICES if shares else _POWER)
    stances = draw(
        st.lists(
            st.sampled_from([-1, 0, 1]), min_size=len(prices), max_size=len(prices)
        )
    )
    rules = draw(_SHARES if shares else _UNITS)
    return np.array(prices), np.array(stances, np.int8), rules


@settings(deadline=None, max_examples=150)
@given(case=_cases(), first=st.integers(0, 3))
def test_every_ledger_is_that_of_the_slow_reference(case, first):
    prices, stances, rules = case
    ledger = trade(prices, stances, rules=rules, first=first)
    orders, cash, position, equity = naive_ledger.walk(
        prices, stances, rules=rules, first=first
    )
    assert [
        (
            one.bar,
            one.side,
            *(
                Fraction(getattr(one, name))
                for name in ("quantity", "price", "cost", "cash", "position", "equity")
            ),
        )
        for one in ledger.orders
    ] == orders
    assert [Fraction(one) for one in ledger.cash] == cash
    assert [Fraction(one) for one in ledger.position] == position
    assert [Fraction(one) for one in ledger.equity] == equity


@settings(deadline=None, max_examples=80)
@given(case=_cases(), bar=st.integers(0, 24))
def test_prices_after_a_bar_change_nothing_up_to_it(case, bar):
    prices, stances, rules = case
    bar = min(bar, prices.size - 1)
    changed = prices.copy()
    changed[bar + 1 :] = 7.0
    whole, other = (trade(one, stances, rules=rules) for one in (prices, changed))
    cut = trade(prices[: bar + 1], stances[: bar + 1], rules=rules)
    for ledger in (whole, other):
        assert [one for one in ledger.orders if one.bar <= bar] == cut.orders
        for name in ("cash", "position", "equity"):
            assert getattr(ledger, name)[: bar + 1] == getattr(cut, name)


@settings(deadline=None, max_examples=80)
@given(case=_cases())
def test_what_was_spent_was_there(case):
    prices, stances, rules = case
    ledger = trade(prices, stances, rules=rules)
    for one in ledger.orders:
        if one.profit is None:
            before = one.cash + one.cost + one.price * one.position
            assert one.amount + one.cost <= before
