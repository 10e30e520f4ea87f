"""``forecast.run``: forecasts with quantiles and an honest evaluation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints

from db import forecasts
from db.registry import Version
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
from tasks.registry import ENTRY_NAME, invalid, load

if TYPE_CHECKING:
    from forecasting.forecast import SeriesForecast
    from forecasting.recipe import Recipe


class TrainedVersion(Params):
    """A version of the registry."""

    name: Annotated[str, StringConstraints(pattern=ENTRY_NAME)]
    version: Annotated[int, Field(ge=1)] | Literal["champion"] = Field(
        default="champion", description="Its number, or the champion as it is then."
    )


class ForecastParams(PanelParams):
    """What to forecast, how far, and how to judge it."""

    trained: TrainedVersion | None = Field(
        default=None,
        description="Forecast with a version of the registry: nothing is learned or "
        "backtested; horizon and frequency must be the version's.",
    )
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
    version, recipe = _trained(params, context)
    for group, found, unfit in forecast_groups(params, context, recipe=recipe):
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
    if version is not None:
        result["trained"] = _version_json(version)
    called = f"{version.entry}@{version.number}" if version else None

    def store(connection: Connection) -> Mapping[str, Any]:
        for item, forecast in done:
            if item.series_id is not None:
                forecasts.store(
                    connection,
                    tenant_id=context.tenant_id,
                    job_id=context.job_id,
                    new=forecast_row(item.series_id, forecast, version=called),
                )
        return {}

    return Outcome(result, store)


def _trained(
    params: ForecastParams, context: JobContext
) -> "tuple[Version, Recipe] | tuple[None, None]":
    """Return the version that the params name and what it learned."""
    if params.trained is None:
        return None, None
    from forecasting.errors import InvalidSeries
    from forecasting.recipe import from_bytes

    field = "/params/trained"
    version, body = load(
        context, params.trained.name, params.trained.version, field=field
    )
    if version.horizon != params.horizon:
        detail = f"{version.entry} {version.number} forecasts {version.horizon} steps"
        raise invalid(f"{detail}, not {params.horizon}", "/params/horizon")
    try:
        return version, from_bytes(body)
    except InvalidSeries as error:
        raise invalid(str(error), field) from error


def _version_json(version: Version) -> dict[str, Any]:
    return {
        "name": version.entry,
        "version": version.number,
        "stage": version.stage,
        "window_start": version.window_start,
        "window_end": version.window_end,
        "metrics": version.metrics,
    }
