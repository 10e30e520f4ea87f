"""What a ledger amounts to: gains, risk and costs, each with what it rests on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from forecasting.arrays import FloatArray, TimeArray
from forecasting.ledger import Ledger

_YEAR_DAYS = 365.25
_LEAST_DAYS = 90.0
"""Below this a yearly growth is mostly the power it was raised to."""
_LEAST_RETURNS = 20
"""Below this a standard deviation is off by a sixth or more."""
_LEAST_SPREAD = 1e-12
"""Below this share of the largest return, a spread is rounding."""


@dataclass(frozen=True, kw_only=True)
class Performance:
    """Figures of one ledger; None where a figure cannot be told.

    Attributes:
        bars: how many the account saw.
        days: from the first bar to the latest.
        returns: how many changes from bar to bar volatility and Sharpe rest on.
        bars_per_year: as counted, for the yearly figures.
        final_equity: at the latest bar's price.
        total_return: final equity over the cash at the start, minus 1.
        cagr: yearly growth; None below 90 days or without anything left.
        volatility: yearly standard deviation of the returns; None below 20 returns.
        sharpe: yearly mean of the returns above the risk-free rate over ``volatility``.
        sharpe_error: standard error of ``sharpe`` if returns are independent.
        risk_free: the yearly rate that was taken off.
        max_drawdown: largest fall below an earlier peak, as a share of that peak.
        exposure: share of the bars that end with a position.
        turnover: amounts of all orders over the mean equity.
        orders: how many were filled.
        trades: round trips that were closed.
        hit_rate: share of those that brought more than their costs.
        costs: of all orders; their parts are ``proportional``, ``fixed``, ``slippage``.
        proportional: costs for amounts.
        fixed: costs for orders.
        slippage: costs for worse prices.
        unpaid: bars at which the cash could not pay a wanted order.
    """

    bars: int
    days: float
    returns: int
    bars_per_year: float | None
    final_equity: float
    total_return: float
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sharpe_error: float | None
    risk_free: float
    max_drawdown: float
    exposure: float
    turnover: float | None
    orders: int
    trades: int
    hit_rate: float | None
    costs: float
    proportional: float
    fixed: float
    slippage: float
    unpaid: int


def performance(
    ledger: Ledger, *, times: TimeArray, risk_free: float = 0.0
) -> Performance:
    """Sum a ledger up.

    Args:
        ledger: at least one bar.
        times: UTC times of the ledger's bars, shape (bars,), ascending.
        risk_free: yearly rate, above -1; 0.02 is two percent.

    Returns:
        The figures.

    References:
        Lo (2002), The statistics of Sharpe ratios, FAJ 58(4), for the standard error.
    """
    equity = np.array([float(one) for one in ledger.equity])
    days = float((times[-1] - times[0]) / np.timedelta64(1, "D"))
    per_year = (equity.size - 1) / days * _YEAR_DAYS if days > 0 else None
    start, final = ledger.equity[0], ledger.equity[-1]
    growth = float(Fraction(final) / Fraction(start))
    profits = [one.profit for one in ledger.orders if one.profit is not None]
    volatility, sharpe, error = _risk(equity, per_year, risk_free)
    mean_equity = float(equity.mean())
    return Performance(
        bars=equity.size,
        days=days,
        returns=equity.size - 1,
        bars_per_year=per_year,
        final_equity=float(final),
        total_return=float(Fraction(final) / Fraction(start) - 1),
        cagr=_yearly(growth, days),
        volatility=volatility,
        sharpe=sharpe,
        sharpe_error=error,
        risk_free=risk_free,
        max_drawdown=max_drawdown(equity),
        exposure=sum(one != 0 for one in ledger.position) / equity.size,
        turnover=_total([one.amount for one in ledger.orders]) / mean_equity
        if mean_equity > 0
        else None,
        orders=len(ledger.orders),
        trades=len(profits),
        hit_rate=sum(one > 0 for one in profits) / len(profits) if profits else None,
        costs=_total([one.cost for one in ledger.orders]),
        proportional=_total([one.proportional for one in ledger.orders]),
        fixed=_total([one.fixed for one in ledger.orders]),
        slippage=_total([one.slippage for one in ledger.orders]),
        unpaid=ledger.unpaid,
    )


def max_drawdown(equity: FloatArray) -> float:
    """Return the largest fall below an earlier peak, as a share of that peak.

    Args:
        equity: shape (n,), the first above zero.

    Returns:
        A share from 0; above 1 where more was lost than there was.

    Example:
        >>> max_drawdown(np.array([100.0, 120.0, 90.0, 130.0]))
        0.25
    """
    peaks = np.maximum.accumulate(equity)
    return float(np.max((peaks - equity) / peaks))


def _total(amounts: Sequence[Decimal]) -> float:
    return float(sum(map(Fraction, amounts), Fraction(0)))


def _yearly(growth: float, days: float) -> float | None:
    if days < _LEAST_DAYS or growth <= 0:
        return None
    exponent = math.log(growth) * _YEAR_DAYS / days
    return math.expm1(exponent) if exponent < math.log(1e12) else None


def _risk(
    equity: FloatArray, per_year: float | None, risk_free: float
) -> tuple[float | None, float | None, float | None]:
    """Return volatility, Sharpe ratio and its standard error."""
    # A return on nothing, or on debts, is no return.
    if per_year is None or equity.size <= _LEAST_RETURNS or np.min(equity) <= 0:
        return None, None, None
    returns = equity[1:] / equity[:-1] - 1
    spread = float(returns.std(ddof=1))
    volatility = spread * math.sqrt(per_year)
    if spread <= _LEAST_SPREAD * np.abs(returns).max():
        return volatility, None, None
    each = math.expm1(math.log1p(risk_free) / per_year)
    ratio = (float(returns.mean()) - each) / spread
    error = math.sqrt((1 + ratio**2 / 2) / returns.size)
    return volatility, ratio * math.sqrt(per_year), error * math.sqrt(per_year)
