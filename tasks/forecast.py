"""``forecast.run``: forecasts with quantiles and an honest evaluation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from db import forecasts
from db.session import Connection
from tasks.catalog import Params, Parts, job_type
from tasks.context import JobContext, Outcome
from tasks.inputs import Input, selected_keys
from tasks.panels import (
    PanelParams,
    forecast_groups,
    forecast_row,
    in_order,
    panel_json,
    point_table,
    series_json,
)
from tasks.parts import merged, refuse_empty

if TYPE_CHECKING:
    from forecasting.forecast import SeriesForecast


class ForecastParams(PanelParams):
    """What to forecast, how far, and how to judge it."""

    panel: int = Field(
        default=250,
        ge=1,
        le=1_000,
        description="Stored series that learn from each other; more are split into "
        "parts of so many, which run on any worker.",
    )


def _split(params: ForecastParams, context: JobContext) -> Sequence[Params]:
    # By number and never by pace: the parts decide which series learn from each
    # other, and the same request has to give the same numbers twice.
    if params.data is not None:
        return [params]
    keys = selected_keys(params, context)
    return [
        params.model_copy(update={"series": keys[first : first + params.panel]})
        for first in range(0, len(keys), params.panel)
    ]


@job_type(
    "forecast.run",
    params=ForecastParams,
    queue="forecast",
    table=point_table,
    parts=Parts(_split, merged),
)
def forecast_run(params: ForecastParams, context: JobContext) -> Outcome:
    """Forecast stored or given series, with quantiles and out-of-sample error."""
    done: list[tuple[Input, SeriesForecast]] = []
    failed: list[dict[str, str]] = []
    panels: list[dict[str, Any]] = []
    for group, found, unfit in forecast_groups(params, context):
        by_name = {item.unique_id: item for item in group.items}
        done += [(by_name[one.unique_id], one) for one in found.series]
        failed += unfit
        panels.append(panel_json(group, found))
    if context.part is None:
        refuse_empty(done, failed)
    total = len(done) + len(failed)
    context.progress(total, total, "series", "storing")
    result = {
        "horizon": params.horizon,
        "quantiles": params.quantiles,
        "series": in_order(params, [series_json(forecast) for _, forecast in done]),
        "failed": failed,
        "panels": panels,
    }

    def store(connection: Connection) -> Mapping[str, Any]:
        for item, forecast in done:
            if item.series_id is not None:
                forecasts.store(
                    connection,
                    tenant_id=context.tenant_id,
                    job_id=context.job_id,
                    new=forecast_row(item.series_id, forecast),
                )
        return {}

    return Outcome(result, store)
