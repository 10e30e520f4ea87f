"""``python -m bench.epf --data DIR``: two power markets, forecast day by day.

Every day of the two published test years is forecast from what was known at the end of
the day before. LEAR and the kernel regression learn anew each day, the trees every 28
days; their blend weighs each by its errors of the 56 days before.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench.drawn import draw
from forecasting.arrays import FloatArray, TimeArray
from forecasting.models import Case, Fitted, Model, ModelContext, registered_models

MARKETS = ("NP", "PJM")
MEMBERS = ("lear", "kernel", "lightgbm")
PUBLISHED = ("lear_ens", "dnn_ens")
_NOT_COVARIATES = {"ds", "price", "is_test"}
_STEPS = 24
_WEEK = 7
_TRAIL = 56
_REFIT = 28
_SEED = 1
# Days before the test years that stand in for them while something is being chosen.
_VALIDATION = 364


@dataclass(frozen=True)
class Market:
    """A market's hours.

    Attributes:
        times: shape (n,).
        prices: shape (n,).
        names: of the covariates.
        covariates: known a day ahead, shape (n, columns).
        published: forecasts of others, each of shape (n,), NaN before the test years.
        first: day at which the test years begin.
    """

    times: TimeArray
    prices: FloatArray
    names: tuple[str, ...]
    covariates: FloatArray
    published: Mapping[str, FloatArray]
    first: int

    @classmethod
    def read(cls, path: Path) -> "Market":
        """Read a table of the toolbox's hours."""
        table = pd.read_csv(path, parse_dates=["ds"])
        others = [c for c in table if c.startswith(("lear", "dnn"))]
        known = [c for c in table if c not in {*_NOT_COVARIATES, *others}]
        return cls(
            times=table["ds"].to_numpy().astype("datetime64[us]"),
            prices=table["price"].to_numpy(dtype=np.float64),
            names=tuple(known),
            covariates=table[known].to_numpy(dtype=np.float64),
            published={name: table[name].to_numpy() for name in others},
            first=int(table["is_test"].to_numpy().argmax()) // _STEPS,
        )

    def case(self, day: int) -> Case:
        """Return what is known at the end of the day before, and of the day itself."""
        past, ahead = slice(day * _STEPS), slice(day * _STEPS, (day + 1) * _STEPS)
        context = ModelContext(
            horizon=_STEPS,
            season=_STEPS,
            long_season=_WEEK * _STEPS,
            times=self.times[past],
            future_times=self.times[ahead],
            seed=_SEED,
            names=self.names,
            covariates=self.covariates[past],
            future_covariates=self.covariates[ahead],
        )
        return Case(self.prices[past], context)

    def actual(self, days: range) -> FloatArray:
        """Return the prices of some days, shape (days, 24)."""
        return by_day(self.prices, days)


def by_day(values: FloatArray, days: range) -> FloatArray:
    """Cut some days out of hours, shape (days, 24)."""
    return values[days.start * _STEPS : days.stop * _STEPS].reshape(-1, _STEPS)


def walk(market: Market, days: range) -> tuple[dict[str, FloatArray], dict[str, float]]:
    """Forecast each day with each member.

    Args:
        market: the hours.
        days: days to forecast, in order.

    Returns:
        Forecasts, each of shape (days, 24), and CPU seconds of each member.
    """
    made, seconds = {}, {}
    for name in MEMBERS:
        start = time.process_time()
        made[name] = np.stack(_walk(registered_models()[name], market, days))
        seconds[name] = time.process_time() - start
    return made, seconds


def _walk(model: Model, market: Market, days: range) -> list[FloatArray]:
    means: list[FloatArray] = []
    fitted: Fitted | None = None
    for place, day in enumerate(days):
        case = market.case(day)
        if model.fit is None:
            means.append(model.predict(case.history, case.context))
            continue
        if fitted is None or place % _REFIT == 0:
            fitted = model.fit([case])
        means.append(fitted.predict([case])[0])
    return means


def blended(made: Mapping[str, FloatArray], actual: FloatArray) -> FloatArray:
    """Weigh members by the inverse square of their error of the 56 days before.

    Args:
        made: forecasts of each member, each of shape (days, 24).
        actual: prices, shape (days, 24).

    Returns:
        Forecasts, shape (days, 24); equal weights on the first day.
    """
    means = np.stack(list(made.values()))
    error = np.abs(means - actual).mean(axis=2)
    blend = np.empty_like(actual)
    for day in range(len(actual)):
        weight = np.ones(len(means))
        if day:
            weight = error[:, max(0, day - _TRAIL) : day].mean(axis=1) ** -2
        blend[day] = np.average(means[:, day], axis=0, weights=weight)
    return blend


def measured(market: Market, days: range) -> list[tuple[str, float, float, float]]:
    """Measure the members, their blend and what others published on the same days.

    Args:
        market: the hours.
        days: days to judge; the members start 56 days before, for the weights.

    Returns:
        Name, mean absolute error, the same against last week's prices, CPU seconds.
    """
    started = range(days.start - _TRAIL, days.stop)
    made, seconds = walk(market, started)
    made["blend"] = blended(made, market.actual(started))
    seconds["blend"] = sum(seconds.values())
    judged = {name: means[_TRAIL:] for name, means in made.items()}
    if days.start >= market.first:
        judged |= {n: by_day(market.published[n], days) for n in PUBLISHED}
        judged["mean of both"] = np.mean([judged[n] for n in PUBLISHED], axis=0)
    actual = market.actual(days)
    week = range(days.start - _WEEK, days.stop - _WEEK)
    naive = float(np.abs(market.actual(week) - actual).mean())
    return [
        (name, error, error / naive, seconds.get(name, float("nan")))
        for name, error in (
            (name, float(np.abs(means - actual).mean()))
            for name, means in judged.items()
        )
    ]


def main(words: list[str] | None = None) -> None:
    """Walk through the markets and print a table of each."""
    parser = argparse.ArgumentParser(prog="python -m bench.epf", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the files")
    parser.add_argument("--days", type=int, help="only the first so many days")
    parser.add_argument("--market", choices=MARKETS, action="append")
    parser.add_argument("--validation", action="store_true", help="the year before")
    given = parser.parse_args(words)
    for name in given.market or MARKETS:
        market = Market.read(given.data / f"epf_{name}.csv.gz")
        first = market.first - (_VALIDATION if given.validation else 0)
        end = market.first if given.validation else market.prices.size // _STEPS
        days = range(first, min(end, first + (given.days or end)))
        rows = [
            (
                who,
                f"{error:.3f}",
                f"{relative:.3f}",
                "" if np.isnan(cpu) else f"{cpu:.0f}",
            )
            for who, error, relative, cpu in measured(market, days)
        ]
        print(f"{name}, {len(days)} days from {market.times[days.start * _STEPS]}")
        print(draw(("forecast", "MAE", "rMAE", "CPU s"), rows), end="\n\n")


if __name__ == "__main__":
    main()
