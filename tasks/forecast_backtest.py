"""``forecast.backtest``: a leaderboard of models on rolling-origin windows."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.answers import finite
from tasks.catalog import Limits, job_type
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.inputs import rfc3339
from tasks.panels import Backtest, FlatPanelParams, options_of, read_panel
from tasks.parts import why_not

if TYPE_CHECKING:
    from forecasting.comparison import Comparison
    from forecasting.leaderboard import Contender

_HOUR_S = 3_600


class BacktestParams(FlatPanelParams):
    """Which models to compare, on what, and on how many windows."""

    backtest: Backtest = Field(
        default=Backtest(windows=5), description="The windows that are scored."
    )


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return the leaderboards as columns and rows, one for each model."""
    scores = ["relative_mae", "p_value", *_SCORES]
    rows = [
        [panel["frequency"], rank, one["model"], *(one[name] for name in scores)]
        for panel in result["panels"]
        for rank, one in enumerate(panel["leaderboard"], start=1)
    ]
    return ["frequency", "rank", "model", *scores], rows


_SCORES = (
    *("mae", "rmse", "smape", "mase", "rmsse", "wql", "crps", "coverage"),
    *("nominal_coverage", "skill_vs_naive", "windows", "points"),
)


@job_type(
    "forecast.backtest",
    params=BacktestParams,
    queue="forecast",
    table=as_table,
    limits=Limits(timeout_s=_HOUR_S),
)
def forecast_backtest(params: BacktestParams, context: JobContext) -> Outcome:
    """Compare models on rolling-origin windows, with a test against the naive."""
    from forecasting.comparison import compare
    from forecasting.errors import InvalidSeries

    groups, failed = read_panel(params, context)
    panels = []
    total, done = sum(len(group.items) for group in groups), 0
    for group in groups:
        size = len(group.items)

        def tell(
            share: float, what: str, *, done: int = done, size: int = size
        ) -> None:
            context.progress(done + int(share * size), total, "series", what)

        done += size
        try:
            found = compare(
                group.panel, options=options_of(params, group.frequency), tell=tell
            )
        except InvalidSeries as error:
            names = [item.unique_id for item in group.items]
            failed += [{"unique_id": one, "detail": str(error)} for one in names]
            continue
        failed += [{"unique_id": name, "detail": text} for name, text in found.failed]
        panels.append(_panel_json(group.frequency, len(group.items), found))
    if not panels:
        raise InvalidData(why_not(failed))
    return Outcome(
        {
            "horizon": params.horizon,
            "quantiles": params.quantiles,
            "panels": panels,
            "failed": failed,
        }
    )


def _panel_json(frequency: str, series: int, found: "Comparison") -> dict[str, Any]:
    return {
        "frequency": frequency,
        "series": series - len(found.failed),
        "leaderboard": [_contender_json(one) for one in found.contenders],
        "windows": [
            {
                "cutoff": rfc3339(window.cutoff),
                "series": window.series,
                "relative_mae": finite(window.relative),
            }
            for window in found.windows
        ],
        "beyond_budget": list(found.left_out),
    }


def _contender_json(one: "Contender") -> dict[str, Any]:
    return {
        "model": one.name,
        "relative_mae": one.relative,
        "p_value": one.p_value,
        "pairs": one.pairs,
        **finite(asdict(one.evaluation)),
        "coverage_by_step": [
            None if math.isnan(share) else round(float(share), 4)
            for share in one.coverage_by_step
        ],
        "failed_windows": one.failed,
    }
