"""``forecast.train``: learn once, keep the version in the registry, forecast often."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints

from db import registry
from db.registry import NewVersion
from db.session import Connection
from tasks.answers import panel_json
from tasks.catalog import Limits, job_type
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.inputs import aware, rfc3339
from tasks.panels import FlatPanelParams, Group, options_of, read_panel
from tasks.parts import why_not
from tasks.registry import ENTRY_NAME, keep, load, register
from tasks.revision import code_revision, library_versions

if TYPE_CHECKING:
    from forecasting.forecast import ForecastOptions, PanelForecast
    from forecasting.judgement import Ground
    from forecasting.recipe import Recipe

_HOUR_S = 3_600


class TrainParams(FlatPanelParams):
    """What to learn from, and the entry of the registry it becomes a version of."""

    name: Annotated[str, StringConstraints(pattern=ENTRY_NAME)] = Field(
        description="The entry, such as load-day-ahead."
    )


@job_type(
    "forecast.train",
    params=TrainParams,
    queue="forecast",
    limits=Limits(timeout_s=_HOUR_S),
)
def forecast_train(params: TrainParams, context: JobContext) -> Outcome:
    """Learn from a panel and register the result as a challenger."""
    from forecasting.forecast import InvalidSeries, forecast_panel, learned_recipe
    from forecasting.judgement import ground
    from forecasting.recipe import to_bytes

    group, failed = _one_group(params, context)
    options = options_of(params, group.frequency)

    def tell(share: float, what: str) -> None:
        context.progress(int(share * 100), 100, "percent", what)

    try:
        found = forecast_panel(group.panel, options=options, tell=tell)
        if not found.series:
            raise InvalidData("; ".join(f"{n}: {text}" for n, text in found.failed[:5]))
        recipe = learned_recipe(group.panel, found=found, options=options)
        measured_on = ground(recipe.panel, options=options)
    except InvalidSeries as error:
        raise InvalidData(str(error)) from error
    kept = keep(context, to_bytes(recipe))
    version = _version(params, context, (recipe, options, found), measured_on)
    version = replace(
        version,
        artifact_sha256=kept.sha256,
        artifact_bytes=kept.bytes,
        artifact_store=kept.store,
        compared=_champion(params, context, (recipe, options), measured_on),
    )
    failed += [{"unique_id": name, "detail": text} for name, text in found.failed]
    result = {
        "name": params.name,
        "members": version.members,
        "metrics": version.metrics,
        "compared": version.compared,
        "artifact_sha256": kept.sha256,
        "panel": panel_json(group, found),
        "failed": failed,
    }

    def store(connection: Connection) -> Mapping[str, Any]:
        number = register(
            connection,
            tenant_id=context.tenant_id,
            entry=params.name,
            version=version,
        )
        return {"version": number}

    return Outcome(result, store)


def _one_group(
    params: TrainParams, context: JobContext
) -> tuple[Group, list[dict[str, str]]]:
    groups, failed = read_panel(params, context)
    if not groups:
        raise InvalidData(why_not(failed))
    if len(groups) > 1:
        steps = ", ".join(group.frequency for group in groups)
        raise InvalidData(
            f"the series have the frequencies {steps}: a version learns one; train "
            "each on its own"
        )
    return groups[0], failed


def _version(
    params: TrainParams,
    context: JobContext,
    learned: "tuple[Recipe, ForecastOptions, PanelForecast]",
    measured_on: "Ground | None",
) -> NewVersion:
    from forecasting.evaluation import pool_evaluations
    from forecasting.judgement import span_of

    recipe, options, found = learned
    first, _ = span_of(recipe.panel)
    end = max(one.times[0] for one in found.series)
    told = [one.evaluation for one in found.series if one.evaluation is not None]
    members = sorted({name for one in found.series for name in one.weights})
    return NewVersion(
        job_id=context.job_id,
        model=params.model if isinstance(params.model, str) else "blend",
        members=members,
        window_start=aware(first),
        window_end=aware(end),
        series_count=len(found.series),
        horizon=options.horizon,
        frequency=recipe.frequency,
        quantiles=params.quantiles,
        code_revision=code_revision(),
        seed=params.seed,
        libraries=library_versions(),
        metrics=pool_evaluations(told),
        evaluation=_evaluation_json(measured_on, options),
        compared=None,
        params=params.model_dump(
            mode="json", exclude={"data": True, "covariates": {"__all__": {"rows"}}}
        ),
        artifact_sha256="",
        artifact_bytes=0,
        artifact_store="",
    )


def _evaluation_json(
    measured_on: "Ground | None", options: "ForecastOptions"
) -> dict[str, Any]:
    if measured_on is None:
        return {}
    return {
        "from": rfc3339(measured_on.first),
        "windows": measured_on.windows,
        "horizon": options.horizon,
        "digest": measured_on.digest,
    }


def _champion(
    params: TrainParams,
    context: JobContext,
    asked: "tuple[Recipe, ForecastOptions]",
    measured_on: "Ground | None",
) -> dict[str, Any] | None:
    """Measure the champion of the entry on the same windows, if it never saw them."""
    from forecasting.errors import InvalidSeries
    from forecasting.judgement import judge
    from forecasting.recipe import from_bytes

    recipe, options = asked
    with context.read() as connection:
        champion = registry.version(
            connection,
            tenant_id=context.tenant_id,
            name=params.name,
            number="champion",
        )
    if champion is None or measured_on is None:
        return None
    if aware(measured_on.first) < champion.window_end:
        # The champion learned from what lies in these windows.
        return None
    _, body = load(context, params.name, champion.number, field="/params/name")
    try:
        metrics = judge(recipe.panel, recipe=from_bytes(body), options=options)
    except InvalidSeries:
        # Other steps or other covariates: the two cannot be compared.
        return None
    return {"version": champion.number, "metrics": metrics}
