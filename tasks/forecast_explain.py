"""``forecast.explain``: what each part adds to a forecast; the parts sum to it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.answers import in_order
from tasks.catalog import job_type
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.inputs import rfc3339
from tasks.panels import PanelParams, forecast_groups, options_of
from tasks.parts import refuse_empty

if TYPE_CHECKING:
    from forecasting.explanation import Explained
    from forecasting.forecast import SeriesForecast


class ExplainParams(PanelParams):
    """What to forecast and explain."""


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return the contributions as columns and rows, one for each step and part."""
    rows = [
        [item["unique_id"], ds, part["part"], part["values"][step]]
        for item in result["series"]
        for step, ds in enumerate(item["ds"])
        for part in item["contributions"]
    ]
    return ["unique_id", "ds", "part", "value"], rows


@job_type("forecast.explain", params=ExplainParams, queue="forecast", table=as_table)
def forecast_explain(params: ExplainParams, context: JobContext) -> Outcome:
    """Forecast, and split each forecast into contributions that sum to it."""
    from forecasting.errors import InvalidSeries
    from forecasting.explanation import explain_panel

    series: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for group, found, unfit in forecast_groups(params, context):
        options = options_of(params, group.frequency)
        failed += unfit
        try:
            explained = explain_panel(group.panel, found=found, options=options)
        except InvalidSeries as error:
            raise InvalidData(str(error)) from error
        series += [_json(one, explained[one.unique_id]) for one in found.series]
    refuse_empty(series, failed)
    return Outcome(
        {
            "horizon": params.horizon,
            "series": in_order(params, series),
            "failed": failed,
        }
    )


def _json(forecast: "SeriesForecast", explained: "Explained") -> dict[str, Any]:
    parts = sorted(
        explained.parts.items(), key=lambda pair: (-abs(pair[1]).mean(), pair[0])
    )
    return {
        "unique_id": forecast.unique_id,
        "cutoff": rfc3339(forecast.cutoff),
        "model": forecast.model,
        "weights": forecast.weights,
        "ds": [rfc3339(ts) for ts in forecast.times],
        "mean": [float(value) for value in explained.mean],
        "contributions": [
            {
                "part": name,
                "mean_absolute": float(abs(values).mean()),
                "values": [float(value) for value in values],
            }
            for name, values in parts
        ],
        "warnings": list(forecast.warnings),
    }
