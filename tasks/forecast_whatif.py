"""``forecast.whatif``: change covariates ahead and compare the forecasts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from tasks.answers import in_order
from tasks.catalog import Params, job_type
from tasks.context import JobContext, Outcome
from tasks.errors import FieldError, InvalidData
from tasks.grid import Number
from tasks.inputs import Instant, rfc3339
from tasks.panels import FlatPanelParams, Group, forecast_groups, options_of
from tasks.parts import refuse_empty

if TYPE_CHECKING:
    from forecasting.forecast import ForecastOptions, PanelForecast, SeriesForecast
    from forecasting.scenario import Change

MAX_SCENARIOS = 20


class ChangeParams(Params):
    """One change of a covariate that is known ahead."""

    covariate: str = Field(min_length=1, max_length=200)
    multiply: Number = 1.0
    add: Number = Field(default=0.0, description="Added after multiplying.")
    start: Instant | None = Field(
        default=None, description="From here; by default from the cutoff on."
    )
    end: Instant | None = Field(default=None, description="Up to here, not included.")


class Scenario(Params):
    """Changes that hold together, under a name."""

    name: str = Field(min_length=1, max_length=100)
    changes: Annotated[list[ChangeParams], Field(min_length=1, max_length=50)]


class WhatIfParams(FlatPanelParams):
    """What to forecast, and in which scenarios."""

    scenarios: Annotated[
        list[Scenario], Field(min_length=1, max_length=MAX_SCENARIOS)
    ] = Field(description="Each is compared with the forecast as it is.")

    @model_validator(mode="after")
    def _possible(self) -> "WhatIfParams":
        known = {
            source.column for source in self.covariates if source.known == "future"
        }
        for scenario in self.scenarios:
            for change in scenario.changes:
                if change.covariate not in known:
                    names = ", ".join(sorted(known)) or "none"
                    message = (
                        f"scenario {scenario.name} changes {change.covariate}, which "
                        f"is no covariate known ahead; known are {names}"
                    )
                    raise ValueError(message)
        names_given = [scenario.name for scenario in self.scenarios]
        if len(set(names_given)) != len(names_given):
            message = "two scenarios have one name: give each its own"
            raise ValueError(message)
        return self


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return the scenarios as columns and rows, one for each step."""
    rows = [
        [
            item["unique_id"],
            ds,
            scenario["name"],
            item["mean"][step],
            scenario["mean"][step],
            scenario["difference"][step],
        ]
        for item in result["series"]
        for scenario in item["scenarios"]
        for step, ds in enumerate(item["ds"])
    ]
    columns = ["unique_id", "ds", "scenario", "base", "mean", "difference"]
    return columns, rows


@job_type("forecast.whatif", params=WhatIfParams, queue="forecast", table=as_table)
def forecast_whatif(params: WhatIfParams, context: JobContext) -> Outcome:
    """Forecast as it is and in scenarios with other covariates, and compare."""
    series: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for group, base, unfit in forecast_groups(params, context):
        failed += unfit
        options = options_of(params, group.frequency)
        scenarios = {
            scenario.name: _forecast(group, base, options, (number, scenario))
            for number, scenario in enumerate(params.scenarios)
        }
        series += _compared(base, scenarios)
    refuse_empty(series, failed)
    return Outcome(
        {
            "horizon": params.horizon,
            "series": in_order(params, series),
            "failed": failed,
        }
    )


def _forecast(
    group: Group,
    base: "PanelForecast",
    options: "ForecastOptions",
    asked: tuple[int, Scenario],
) -> "PanelForecast":
    """Forecast one scenario with what was learned for the forecast as it is."""
    from forecasting.errors import InvalidSeries
    from forecasting.forecast import forecast_by_recipe, learned_recipe
    from forecasting.scenario import changed_panel

    number, scenario = asked
    ahead = {one.unique_id: one.times for one in base.series}
    panel = [one for one in group.panel if one.unique_id in ahead]
    try:
        changed = changed_panel(
            panel, changes=[_change(one) for one in scenario.changes], ahead=ahead
        )
    except InvalidSeries as error:
        place = f"/params/scenarios/{number}/changes"
        raise InvalidData(str(error), (FieldError(place, str(error)),)) from error
    if base.learned is None:
        # Series that never change are forecast so, whatever else does.
        return base
    recipe = learned_recipe(group.panel, found=base, options=options)
    return forecast_by_recipe(changed, recipe=recipe, options=options)


def _change(given: ChangeParams) -> "Change":
    import numpy as np

    from forecasting.scenario import Change

    start, end = (
        None if one is None else np.datetime64(one.replace(tzinfo=None), "us")
        for one in (given.start, given.end)
    )
    return Change(
        covariate=given.covariate,
        multiply=given.multiply,
        add=given.add,
        start=start,
        end=end,
    )


def _compared(
    base: "PanelForecast", scenarios: "Mapping[str, PanelForecast]"
) -> list[dict[str, Any]]:
    by_name = {
        name: {one.unique_id: one for one in found.series}
        for name, found in scenarios.items()
    }
    return [
        {
            "unique_id": one.unique_id,
            "cutoff": rfc3339(one.cutoff),
            "model": one.model,
            "weights": one.weights,
            "ds": [rfc3339(ts) for ts in one.times],
            "mean": [float(value) for value in one.mean],
            "scenarios": [
                _scenario_json(name, one, other[one.unique_id])
                for name, other in by_name.items()
            ],
            "warnings": [*one.warnings, *_deafness(one)],
        }
        for one in base.series
    ]


def _scenario_json(
    name: str, base: "SeriesForecast", other: "SeriesForecast"
) -> dict[str, Any]:
    difference = other.mean - base.mean
    return {
        "name": name,
        "mean": [float(value) for value in other.mean],
        "difference": [float(value) for value in difference],
        "total_difference": float(difference.sum()),
        "q": {
            str(level): [float(value) for value in values]
            for level, values in other.quantiles.items()
        },
    }


def _deafness(base: "SeriesForecast") -> list[str]:
    """Say so where no model behind a forecast looks at covariates."""
    from forecasting.models import registered_models

    models = registered_models()
    if any(models[name].covariates for name in base.weights):
        return []
    names = ", ".join(base.weights)
    return [f"no model behind the forecast ({names}) uses covariates: nothing changes"]
