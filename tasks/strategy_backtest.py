"""``strategy.backtest``: a trading strategy on past prices, with a ledger to check."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from db import forecasts
from tasks.catalog import Params, Parts, job_type
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.inputs import Input, inputs, rfc3339
from tasks.parts import by_series, merged, refuse_empty
from tasks.strategy_params import StrategyParams

if TYPE_CHECKING:
    from forecasting.bars import Forecasts
    from forecasting.ledger import Ledger
    from forecasting.strategy_backtest import StrategyBacktest, StrategyOptions
    from forecasting.walk_forward import Window

_NAME = "strategy.backtest"
_MOST_FORECASTS = 2_000
_SHOWN_UNPRICED = 5
_STANCES = {1: "long", 0: "flat", -1: "short"}
_BAR = ("ds", "price", "stance", "position", "cash", "cost", "equity", "buy_and_hold")


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return the equity curves as columns and rows, one for each series and bar."""
    rows = [
        [item["unique_id"], *(bar[name] for name in _BAR)]
        for item in result["series"]
        for bar in item["equity"]
    ]
    return ["unique_id", *_BAR], rows


def _split(params: StrategyParams, context: JobContext) -> Sequence[Params]:
    """Split by series; forecasts in the request stay whole, as inline data does."""
    if isinstance(params.forecasts, list):
        return [params]
    return by_series(_NAME).split(params, context)


@job_type(
    _NAME,
    params=StrategyParams,
    queue="forecast",
    table=as_table,
    parts=Parts(_split, merged),
)
def strategy_backtest(params: StrategyParams, context: JobContext) -> Outcome:
    """Trade a strategy on past prices, and keep a ledger beside buy and hold."""
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    total = 0
    for number, (total, item) in enumerate(inputs(params, context)):
        context.progress(number, total, "series", f"trading {item.unique_id}")
        try:
            done.append(_as_json(item, _backtest(params, item, context)))
        except InvalidData as error:
            failed.append({"unique_id": item.unique_id, "detail": str(error)})
    if context.part is None:
        refuse_empty(done, failed)
    context.progress(total, total, "series", "done")
    terms = params.model_dump(
        mode="json", include={"strategy", "cash", "sizing", "costs", "short"}
    )
    selection = "given" if params.walk_forward is None else "walk_forward"
    return Outcome({**terms, "selection": selection, "series": done, "failed": failed})


def _backtest(
    params: StrategyParams, item: Input, context: JobContext
) -> "StrategyBacktest":
    from forecasting.errors import InvalidSeries
    from forecasting.strategy_backtest import backtest_strategy

    known = None
    if params.forecasts is not None:
        known = _arrays(item, sorted(_forecast_points(params, item, context)))
    try:
        return backtest_strategy(
            item.values, times=item.times, options=_options(params), forecasts=known
        )
    except InvalidSeries as error:
        raise InvalidData(str(error)) from error


def _options(params: StrategyParams) -> "StrategyOptions":
    import numpy as np

    from forecasting.ledger import Rules
    from forecasting.strategy_backtest import StrategyOptions
    from forecasting.walk_forward import WalkForward

    plan, sizing = params.walk_forward, params.sizing
    return StrategyOptions(
        strategy=params.strategy,
        parameters=params.parameters,
        rules=Rules(
            cash=params.cash,
            fraction=1.0 if sizing.fraction is None else sizing.fraction,
            units=sizing.units,
            lot=sizing.lot,
            **params.costs.model_dump(),
        ),
        short=params.short,
        risk_free=params.risk_free,
        start=None if params.start is None else np.datetime64(_naive(params.start)),
        walk_forward=None if plan is None else WalkForward(**plan.model_dump()),
    )


def _forecast_points(
    params: StrategyParams, item: Input, context: JobContext
) -> Iterator[tuple[datetime, datetime, float]]:
    """Yield when each forecast value was known, for which time, and the value."""
    if isinstance(params.forecasts, list):
        for row in params.forecasts:
            if row.unique_id == item.unique_id:
                yield _naive(row.issued_at), _naive(row.ds), row.y
        return
    if item.series_id is None:
        return
    with context.read() as connection:
        found = forecasts.of_series(
            connection,
            tenant_id=context.tenant_id,
            series_id=item.series_id,
            as_of=params.as_of,
            limit=_MOST_FORECASTS,
        )
    issued = set()
    for one in found:
        # Two may be stored at one instant; the newest is read first, and counts.
        if one["issued_at"] not in issued:
            issued.add(one["issued_at"])
            for ts, mean, _ in one["points"]:
                yield _naive(one["issued_at"]), _naive(ts), mean


def _arrays(
    item: Input, points: Sequence[tuple[datetime, datetime, float]]
) -> "Forecasts":
    import numpy as np

    from forecasting.bars import Forecasts

    if not points:
        raise InvalidData(f"there is no forecast of {item.unique_id}")
    known_from, times, values = zip(*points, strict=True)
    return Forecasts(
        known_from=np.array(known_from, "M8[us]"),
        times=np.array(times, "M8[us]"),
        values=np.array(values, np.float64),
    )


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


def _as_json(item: Input, found: "StrategyBacktest") -> dict[str, Any]:
    return {
        "unique_id": item.unique_id,
        "start": rfc3339(found.times[0]),
        "end": rfc3339(found.times[-1]),
        "context_bars": found.context_bars,
        "unpriced": {
            "count": len(found.unpriced),
            "first": [rfc3339(one) for one in found.unpriced[:_SHOWN_UNPRICED]],
        },
        "parameters": found.parameters,
        "latest_stance": _STANCES[int(found.stances[-1])],
        "performance": asdict(found.performance),
        "buy_and_hold": asdict(found.hold_performance),
        "excess_return": found.performance.total_return
        - found.hold_performance.total_return,
        "walk_forward": [_window(found, one) for one in found.windows],
        "ledger": _ledger(found),
        "equity": _equity(found),
        "warnings": list(found.warnings),
    }


def _ledger(found: "StrategyBacktest") -> list[dict[str, Any]]:
    return [
        {
            "ds": rfc3339(found.times[order.bar - found.ledger.first]),
            "side": order.side,
            "quantity": float(order.quantity),
            "price": float(order.price),
            "cost": float(order.cost),
            "cash": float(order.cash),
            "position": float(order.position),
            "equity": float(order.equity),
            "profit": None if order.profit is None else float(order.profit),
        }
        for order in found.ledger.orders
    ]


def _equity(found: "StrategyBacktest") -> list[dict[str, Any]]:
    ledger = found.ledger
    costs = _costs(ledger)
    return [
        {
            "ds": rfc3339(ds),
            "price": float(found.prices[at]),
            "stance": _STANCES[int(found.stances[at])],
            "position": float(ledger.position[at]),
            "cash": float(ledger.cash[at]),
            "cost": costs.get(ledger.first + at, 0.0),
            "equity": float(ledger.equity[at]),
            "buy_and_hold": float(found.hold.equity[at]),
        }
        for at, ds in enumerate(found.times)
    ]


def _costs(ledger: "Ledger") -> dict[int, float]:
    """Return what the orders of each bar cost; a turn-around has two."""
    spent: dict[int, Any] = {}
    for order in ledger.orders:
        spent[order.bar] = spent.get(order.bar, 0) + order.cost
    return {bar: float(cost) for bar, cost in spent.items()}


def _window(found: "StrategyBacktest", window: "Window") -> dict[str, Any]:
    first = found.ledger.first
    latest = min(window.stop - first, len(found.times) - 1)
    before, after = (found.ledger.equity[at] for at in (window.start - first, latest))
    return {
        "train_start": rfc3339(window.train_from),
        "start": rfc3339(found.times[window.start - first]),
        "end": rfc3339(found.times[window.stop - first - 1]),
        "parameters": window.parameters,
        "score": window.score,
        "total_return": float(after / before) - 1 if before > 0 else None,
    }
