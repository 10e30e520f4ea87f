"""The account of a strategy: orders at the next bar's price, costs on both sides.

Money is counted in decimals of a hundred digits, so that nothing is rounded but the
quantity of an order: a ledger equals the calculation by hand to the last digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Context, Decimal, localcontext

from forecasting.arrays import FloatArray
from forecasting.bars import Stances
from forecasting.errors import InvalidSeries

MOST_MONEY = 1e12
"""Above this size of a price or of the cash, a hundred digits may not hold it all."""

_LEAST_PRICE = 1e-9
_BASIS_POINT = Decimal("0.0001")
_ZERO = Decimal(0)
_EXACT = Context(prec=100, rounding=ROUND_DOWN)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How much is traded, and what an order costs.

    Attributes:
        cash: money at the start, above 0, up to ``MOST_MONEY``.
        fraction: share of the cash that an order may take, costs included, 0 to 1.
        units: a fixed quantity for each order instead of a share, or None.
        lot: quantities are rounded down to multiples of it.
        proportional_bps: cost in hundredths of a percent of the amount.
        fixed: cost of each order.
        slippage_bps: by how much worse than the bar's price an order is filled.
    """

    cash: float = 10_000.0
    fraction: float = 1.0
    units: float | None = None
    lot: float = 1e-8
    proportional_bps: float = 0.0
    fixed: float = 0.0
    slippage_bps: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Order:
    """A filled order: one row of the ledger.

    Attributes:
        bar: the bar at whose price it was filled.
        side: "buy" or "sell".
        quantity: above 0.
        price: of the bar; slippage is a cost and not part of it.
        proportional: cost for the amount.
        fixed: cost for the order.
        slippage: cost for the worse price.
        cash: money after the order.
        position: units held after the order, below 0 if short.
        equity: cash and position at the bar's price, after the order.
        profit: what the round trip brought after all its costs; None if it opens one.
    """

    bar: int
    side: str
    quantity: Decimal
    price: Decimal
    proportional: Decimal
    fixed: Decimal
    slippage: Decimal
    cash: Decimal
    position: Decimal
    equity: Decimal
    profit: Decimal | None

    @property
    def cost(self) -> Decimal:
        """All that the order cost beside its amount."""
        return _EXACT.add(_EXACT.add(self.proportional, self.fixed), self.slippage)

    @property
    def amount(self) -> Decimal:
        """The size of what was traded: quantity times price, never below 0."""
        return _EXACT.multiply(self.quantity, self.price).copy_abs()


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What became of the money; lists hold one entry a bar, from bar ``first`` on.

    Attributes:
        first: the bar that the account begins at.
        orders: in the order of their filling.
        cash: money after the bar's orders.
        position: units held after the bar's orders.
        equity: cash and position at the bar's price.
        unpaid: bars at which an order was wanted that the cash could not pay.
        ruined: the bar at which nothing was left, or None; no order opens after it.
    """

    first: int
    orders: Sequence[Order]
    cash: Sequence[Decimal]
    position: Sequence[Decimal]
    equity: Sequence[Decimal]
    unpaid: int
    ruined: int | None


def trade(
    prices: FloatArray, stances: Stances, *, rules: Rules, first: int = 0
) -> Ledger:
    """Follow stances: what is decided at a bar is filled at the next bar's price.

    A stance that turns around closes by one order and opens by a second. A position is
    left alone until its stance changes, and one still open at the end is valued at the
    latest price and not closed. There is no leverage: the amount and cost of an order
    that opens stay within the cash.

    Args:
        prices: shape (n,), no NaN, size up to ``MOST_MONEY``; above zero unless the
            rules fix the units.
        stances: 1, 0 or -1 for each bar, shape (n,); the latest is not filled.
        rules: sizes and costs.
        first: the bar that the account begins at; its stance is the first to count.

    Returns:
        The ledger of bars ``first`` to n - 1.

    Raises:
        InvalidSeries: a price is too large, or a share of the cash cannot buy at it.

    Example:
        >>> import numpy as np
        >>> prices, stances = np.array([50.0, 100.0, 120.0]), np.array([1, 1, 0])
        >>> ledger = trade(prices, stances, rules=Rules(cash=1e3))
        >>> [float(equity) for equity in ledger.equity]
        [1000.0, 1000.0, 1200.0]
    """
    check_prices(prices, rules=rules, first=first)
    exact = [decimal(price) for price in prices[first:].tolist()]
    with localcontext(_EXACT):
        account = _Account(rules)
        for bar, price in enumerate(exact, start=first):
            if bar > first:
                account.follow(int(stances[bar - 1]), bar, price)
            account.value(bar, price)
    return Ledger(
        first=first,
        orders=account.orders,
        cash=account.cash_curve,
        position=account.position_curve,
        equity=account.equity_curve,
        unpaid=account.unpaid,
        ruined=account.ruined,
    )


def check_prices(prices: FloatArray, *, rules: Rules, first: int = 0) -> None:
    """Refuse a price that cannot be traded at.

    Args:
        prices: shape (n,), no NaN.
        rules: with a share of the cash, every price must be above zero.
        first: the bar that the account begins at.

    Raises:
        InvalidPrice: the price is too large, or a share of the cash cannot buy at it.
    """
    for bar, price in enumerate(prices[first:].tolist(), start=first):
        if abs(price) > MOST_MONEY:
            raise InvalidPrice(
                bar, f"the price {price:g} is above {MOST_MONEY:g} in size"
            )
        if rules.units is None and price < _LEAST_PRICE:
            raise InvalidPrice(
                bar,
                f"the price {price:g} is not above zero, so no share of the cash can "
                "be put into it: give sizing units, a fixed quantity",
            )


class InvalidPrice(InvalidSeries):
    """A bar's price cannot be traded at.

    Attributes:
        bar: which.
        reason: why, and what to do.
    """

    def __init__(self, bar: int, reason: str) -> None:
        super().__init__(bar, reason)
        self.bar = bar
        self.reason = reason

    def __str__(self) -> str:
        return f"bar {self.bar}: {self.reason}"


def decimal(number: float) -> Decimal:
    """Return a float as the decimal that it is written as: 0.1 is a tenth.

    Example:
        >>> decimal(0.1)
        Decimal('0.1')
    """
    return Decimal(repr(float(number)))


@dataclass
class _Account:
    rules: Rules
    orders: list[Order] = field(default_factory=list)
    cash_curve: list[Decimal] = field(default_factory=list)
    position_curve: list[Decimal] = field(default_factory=list)
    equity_curve: list[Decimal] = field(default_factory=list)
    unpaid: int = 0
    ruined: int | None = None

    def __post_init__(self) -> None:
        rules = self.rules
        self._cash = decimal(rules.cash)
        self._position = _ZERO
        self._cash_before = _ZERO
        self._fixed = decimal(rules.fixed)
        self._proportional = decimal(rules.proportional_bps) * _BASIS_POINT
        self._slippage = decimal(rules.slippage_bps) * _BASIS_POINT
        self._lot = decimal(rules.lot)

    def follow(self, stance: int, bar: int, price: Decimal) -> None:
        """Close what stands the other way, and open what is wanted."""
        wanted = 0 if self.ruined is not None else stance
        held = (self._position > 0) - (self._position < 0)
        if held not in (0, wanted):
            self._fill(-self._position, bar, price)
            held = 0
        if held != wanted:
            self._open(wanted, bar, price)

    def value(self, bar: int, price: Decimal) -> None:
        """Note what the account is worth at the end of a bar."""
        equity = self._cash + self._position * price
        self.cash_curve.append(self._cash)
        self.position_curve.append(self._position)
        self.equity_curve.append(equity)
        if equity <= 0 and self.ruined is None:
            self.ruined = bar

    def _open(self, side: int, bar: int, price: Decimal) -> None:
        quantity = self._quantity(price)
        each = abs(price) * (1 + self._proportional + self._slippage)
        if quantity <= 0 or quantity * each + self._fixed > self._cash:
            self.unpaid += 1
            return
        self._fill(side * quantity, bar, price)

    def _quantity(self, price: Decimal) -> Decimal:
        if self.rules.units is not None:
            wanted = decimal(self.rules.units)
        else:
            budget = decimal(self.rules.fraction) * self._cash - self._fixed
            wanted = budget / (price * (1 + self._proportional + self._slippage))
        return (wanted / self._lot).to_integral_value(ROUND_DOWN) * self._lot

    def _fill(self, change: Decimal, bar: int, price: Decimal) -> None:
        opens = self._position == 0
        if opens:
            self._cash_before = self._cash
        size = abs(change * price)
        proportional, slippage = size * self._proportional, size * self._slippage
        self._cash -= change * price + proportional + self._fixed + slippage
        self._position += change
        self.orders.append(
            Order(
                bar=bar,
                side="buy" if change > 0 else "sell",
                quantity=abs(change),
                price=price,
                proportional=proportional,
                fixed=self._fixed,
                slippage=slippage,
                cash=self._cash,
                position=self._position,
                equity=self._cash + self._position * price,
                profit=None if opens else self._cash - self._cash_before,
            )
        )
