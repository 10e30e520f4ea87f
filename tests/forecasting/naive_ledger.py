"""A ledger in fractions, one rule after the other: slow, and easy to check by eye."""

from fractions import Fraction


def number(text):
    """A float as the number that is written, not the nearest in binary."""
    return Fraction(repr(float(text)))


def walk(prices, stances, *, rules, first=0):
    """Return (orders, cash, position, equity) with fractions.

    An order is (bar, side, quantity, price, cost, cash, position, equity).
    """
    cash, units, ruined = number(rules.cash), Fraction(0), False
    orders, cashes, positions, equities = [], [], [], []
    for bar in range(first, len(prices)):
        price = number(prices[bar])
        if bar > first:
            stance = 0 if ruined else int(stances[bar - 1])
            if (units > 0 and stance <= 0) or (units < 0 and stance >= 0):
                cash, units = fill(orders, bar, -units, price, (cash, units), rules)
            if units == 0 and stance != 0:
                wanted = size(price, cash, rules)
                whole = wanted * abs(price) + cost(wanted, price, rules)
                if wanted > 0 and whole <= cash:
                    change = stance * wanted
                    cash, units = fill(orders, bar, change, price, (cash, units), rules)
        equity = cash + units * price
        ruined = ruined or equity <= 0
        cashes.append(cash)
        positions.append(units)
        equities.append(equity)
    return orders, cashes, positions, equities


def cost(quantity, price, rules):
    amount = quantity * abs(price)
    return (
        amount * number(rules.proportional_bps) / 10_000
        + amount * number(rules.slippage_bps) / 10_000
        + number(rules.fixed)
    )


def size(price, cash, rules):
    lot = number(rules.lot)
    if rules.units is not None:
        return number(rules.units) // lot * lot
    # What one unit takes, costs included; the fixed cost is taken once.
    unit = price + cost(1, price, rules) - number(rules.fixed)
    return (number(rules.fraction) * cash - number(rules.fixed)) / unit // lot * lot


def fill(orders, bar, change, price, account, rules):
    cash, units = account
    spent = cost(abs(change), price, rules)
    cash, units = cash - change * price - spent, units + change
    side = "buy" if change > 0 else "sell"
    worth = cash + units * price
    orders.append((bar, side, abs(change), price, spent, cash, units, worth))
    return cash, units
