"""``forecast.run``: forecasts with quantiles and an honest evaluation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from db import forecasts
from db.registry import Version
from db.session import Connection
from tasks.answers import forecast_row, in_order, panel_json, point_table, series_json
from tasks.catalog import Params, Parts, job_type
from tasks.context import JobContext, Outcome
from tasks.heads import head, is_large, merge
from tasks.inputs import Input, selected
from tasks.panel_parts import split_panel
from tasks.panels import PanelParams, forecast_groups
from tasks.parts import NoAnswer, refuse_empty
from tasks.registry import ENTRY_NAME, invalid, load, version_of

if TYPE_CHECKING:
    from forecasting.forecast import SeriesForecast
    from forecasting.recipe import Recipe

_FIELD = "/params/trained"


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
        "backtested; horizon, frequency and covariates must be the version's.",
    )
    panel: int = Field(
        default=250,
        ge=1,
        le=1_000,
        description="Stored series that learn from each other; more are split into "
        "parts of so many, which run on any worker.",
    )
    group_by: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="An attribute, or what tags begin with: region for region:north. "
        "Series with the same value stay in one part, up to 1,000 of them.",
    )
    brief: bool = Field(
        default=False,
        description="Leave the points of stored series out of the result; they are at "
        "its points_url. Always so above 1,000 series or 200,000 points.",
    )

    @model_validator(mode="after")
    def _rows_hold_points_only(self) -> "ForecastParams":
        if self.brief and (self.samples or self.hierarchy is not None):
            message = "samples and sums are told in the result only: leave out brief"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _a_version_knows_no_sums(self) -> "ForecastParams":
        if self.trained is not None and self.hierarchy is not None:
            message = "a trained version forecasts no hierarchy: leave out one of them"
            raise ValueError(message)
        return self


def _split(params: ForecastParams, context: JobContext) -> Sequence[Params]:
    # By number and never by pace: the parts decide which series learn from each
    # other, and the same request has to give the same numbers twice.
    if params.data is not None or params.hierarchy is not None:
        return [params]
    chosen = selected(params, context)
    large = params.brief or is_large(len(chosen), params.horizon)
    if large and params.samples:
        detail = "samples are told in the result only, which has no room for so many"
        raise invalid(f"{detail}: ask for fewer series or steps", "/params/samples")
    changes: dict[str, Any] = {"brief": large}
    if params.trained is not None:
        # One version for all parts, also if another is promoted meanwhile.
        changes["trained"] = _numbered(params.trained, context)
    parts = split_panel(
        params, chosen, context, size=params.panel, group_by=params.group_by
    )
    return [part.model_copy(update=changes) for part in parts]


def _numbered(trained: TrainedVersion, context: JobContext) -> TrainedVersion:
    with context.read() as connection:
        found = version_of(
            connection,
            tenant_id=context.tenant_id,
            name=trained.name,
            number=trained.version,
            field=_FIELD,
        )
    return trained.model_copy(update={"version": found.number})


@job_type(
    "forecast.run",
    params=ForecastParams,
    queue="forecast",
    table=point_table,
    parts=Parts(_split, merge),
)
def forecast_run(params: ForecastParams, context: JobContext) -> Outcome:
    """Forecast stored or given series, with quantiles and out-of-sample error."""
    done: list[tuple[Input, SeriesForecast]] = []
    failed: list[dict[str, str]] = []
    panels: list[dict[str, Any]] = []
    version, recipe = _trained(params, context)
    try:
        for group, found, unfit in forecast_groups(params, context, recipe=recipe):
            by_name = {item.unique_id: item for item in group.items}
            done += [(by_name[one.unique_id], one) for one in found.series]
            failed += unfit
            panels.append(panel_json(group, found))
        refuse_empty(done, failed)
    except NoAnswer as error:
        # The other parts may have answers; if none has, the finish refuses.
        if context.part is None:
            raise
        failed = error.failed
    total = len(done) + len(failed)
    context.progress(total, total, "series", "storing")
    answers = [forecast for _, forecast in done]
    if _is_brief(params, total):
        result = head(params, context, done=answers, failed=failed, panels=panels)
    else:
        result = _whole(params, answers, failed, panels)
    if version is not None:
        result["trained"] = _version_json(version)
    called = f"{version.entry}@{version.number}" if version else None

    def store(connection: Connection) -> Mapping[str, Any]:
        forecasts.store_many(
            connection,
            tenant_id=context.tenant_id,
            job_id=context.job_id,
            new=(
                forecast_row(item.series_id, forecast, version=called)
                for item, forecast in done
                if item.series_id is not None
            ),
        )
        return {}

    return Outcome(result, store)


def _is_brief(params: ForecastParams, series: int) -> bool:
    # Sums, and what was given in the request, are stored nowhere but in the result.
    if params.data is not None or params.hierarchy is not None:
        return False
    return params.brief or is_large(series, params.horizon)


def _whole(
    params: ForecastParams,
    answers: "Sequence[SeriesForecast]",
    failed: list[dict[str, str]],
    panels: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "horizon": params.horizon,
        "quantiles": params.quantiles,
        "series": in_order(params, [series_json(forecast) for forecast in answers]),
        "failed": failed,
        "panels": panels,
    }


def _trained(
    params: ForecastParams, context: JobContext
) -> "tuple[Version, Recipe] | tuple[None, None]":
    """Return the version that the params name and what it learned."""
    if params.trained is None:
        return None, None
    from forecasting.errors import InvalidSeries
    from forecasting.recipe import from_bytes

    version, body = load(
        context, params.trained.name, params.trained.version, field=_FIELD
    )
    if version.horizon != params.horizon:
        detail = f"{version.entry} {version.number} forecasts {version.horizon} steps"
        raise invalid(f"{detail}, not {params.horizon}", "/params/horizon")
    try:
        recipe = from_bytes(body)
    except InvalidSeries as error:
        raise invalid(str(error), _FIELD) from error
    _check_covariates(params, recipe)
    return version, recipe


def _check_covariates(params: ForecastParams, recipe: "Recipe") -> None:
    """Refuse a version that would miss what it learned from, or see it elsewhere."""
    from forecasting.covariates import Holidays
    from forecasting.recipe import column

    learned = recipe.columns
    asked: set[tuple[str, str]] = {
        (source.column, source.known) for source in params.covariates
    }
    if days := params.holidays:
        asked.add(column(Holidays(days.country, days.region, days.timezone)))
    if learned != asked:
        told = [
            ", ".join(f"{name} ({how})" for name, how in sorted(one)) or "none"
            for one in (learned, asked)
        ]
        detail = f"the version learned from the covariates {told[0]}, not {told[1]}"
        raise invalid(detail, "/params/covariates")


def _version_json(version: Version) -> dict[str, Any]:
    return {
        "name": version.entry,
        "version": version.number,
        "stage": version.stage,
        "window_start": version.window_start,
        "window_end": version.window_end,
        "metrics": version.metrics,
    }
