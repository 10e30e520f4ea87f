"""Params and results that the forecasting job types share, and the panel they read."""

import math
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from db import forecasts
from tasks.catalog import Params
from tasks.context import JobContext
from tasks.covariates import CovariateParams, attributes_of, covariate_reader
from tasks.errors import InvalidData
from tasks.grid import GridParams, fill_rules
from tasks.inputs import Input, SeriesParams, aware, common_step, inputs, rfc3339
from tasks.parts import why_not

if TYPE_CHECKING:
    from forecasting.forecast import (
        ForecastOptions,
        PanelForecast,
        PanelSeries,
        SeriesForecast,
    )
    from forecasting.recipe import Recipe

MAX_HORIZON = 10_000
_FEWEST_OBSERVATIONS = 3


def known_models() -> tuple[str, ...]:
    """Return the names of all models without importing any: a file is a model."""
    spec = find_spec("forecasting.models")
    folders = spec.submodule_search_locations if spec else None
    names = (module.name for module in pkgutil.iter_modules(folders))
    return ("auto", *sorted(name for name in names if not name.startswith("_")))


class Backtest(Params):
    """How the forecast is judged: by rolling-origin windows of the horizon's length."""

    windows: int = Field(default=3, ge=1, le=20)


class PanelParams(SeriesParams, CovariateParams, GridParams):
    """What to forecast, how far, by whom, and how to judge it."""

    horizon: int = Field(ge=1, le=MAX_HORIZON, description="Steps to forecast.")
    quantiles: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1, max_length=99)
    ] = Field(default=[0.1, 0.5, 0.9], description="Levels, ascending.")
    model: str | Annotated[list[str], Field(min_length=1, max_length=20)] = Field(
        default="auto",
        description="A model's name, several to blend, or auto to choose by backtest.",
    )
    season: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Season in steps; by default that of the frequency.",
    )
    budget_s: float | None = Field(
        default=None,
        gt=0,
        description="CPU seconds that auto may plan for; "
        "by default 3, and 1.5 for each series.",
    )
    lower: float | None = Field(
        default=None,
        description="Nothing is forecast below; by default 0 for series "
        "that were never negative.",
    )
    upper: float | None = Field(default=None, description="Nothing is forecast above.")
    backtest: Backtest = Backtest()
    seed: int = Field(default=0, ge=0, le=2**31 - 1)

    @field_validator("quantiles")
    @classmethod
    def _ascend(cls, levels: list[float]) -> list[float]:
        if levels != sorted(set(levels)):
            message = "quantiles must ascend without repeats"
            raise ValueError(message)
        return levels

    @field_validator("model")
    @classmethod
    def _known(cls, model: str | list[str]) -> str | list[str]:
        named = [model] if isinstance(model, str) else model
        if any(name not in known_models() for name in named):
            message = f"unknown model; known are {', '.join(known_models())}"
            raise ValueError(message)
        if len(set(named)) != len(named) or (len(named) > 1 and "auto" in named):
            message = "name each model once, or auto alone"
            raise ValueError(message)
        return model


@dataclass(frozen=True)
class Group:
    """The series of a job that share a frequency.

    Attributes:
        frequency: of all of them.
        items: the series as the job knows them.
        panel: the same for the forecasting room, in the same order.
    """

    frequency: str
    items: tuple[Input, ...]
    panel: "tuple[PanelSeries, ...]"


def read_panel(
    params: PanelParams, context: JobContext
) -> tuple[list[Group], list[dict[str, str]]]:
    """Read the series of a job, those of one frequency together.

    Args:
        params: what to read.
        context: of the job.

    Returns:
        The groups, in the order of their first series, and the series that cannot be
        forecast, each with its ``unique_id`` and ``detail``.

    Raises:
        InvalidData: a series does not exist, or no series carries the tag.
    """
    grouped: dict[str, list[tuple[Input, PanelSeries]]] = {}
    failed: list[dict[str, str]] = []
    read = covariate_reader(params, context, as_of=params.as_of)
    for number, (total, item) in enumerate(inputs(params, context)):
        context.progress(number, 2 * total, "series", f"reading {item.unique_id}")
        try:
            frequency, one = _panel_series(item)
            one = replace(
                one,
                covariates=read(item),
                attributes=attributes_of(params, item.unique_id),
            )
        except InvalidData as error:
            failed.append({"unique_id": item.unique_id, "detail": str(error)})
        else:
            grouped.setdefault(frequency, []).append((item, one))
    groups = [
        Group(frequency, tuple(i for i, _ in pairs), tuple(s for _, s in pairs))
        for frequency, pairs in grouped.items()
    ]
    return groups, failed


def _panel_series(item: Input) -> "tuple[str, PanelSeries]":
    import numpy as np

    from forecasting.forecast import PanelSeries

    observed = int(np.isfinite(item.values).sum())
    if observed < _FEWEST_OBSERVATIONS:
        raise InvalidData(
            f"{observed} observations are too few to forecast with an honest error; "
            f"at least {_FEWEST_OBSERVATIONS} are needed"
        )
    frequency = item.frequency or common_step(item.times)
    return frequency, PanelSeries(item.unique_id, item.values, item.times)


def options_of(params: PanelParams, frequency: str) -> "ForecastOptions":
    """Say in the words of the forecasting room what the params ask for."""
    from forecasting.forecast import ForecastOptions

    model = params.model
    return ForecastOptions(
        horizon=params.horizon,
        frequency=frequency,
        quantiles=tuple(params.quantiles),
        model=model if isinstance(model, str) else tuple(model),
        windows=params.backtest.windows,
        seed=params.seed,
        season=params.season,
        budget_s=params.budget_s,
        lower=params.lower,
        upper=params.upper,
        rules=fill_rules(params.fill),
        calendar=params.calendar,
        timezone=params.timezone,
    )


def forecast_groups(
    params: PanelParams, context: JobContext, *, recipe: "Recipe | None" = None
) -> "Iterator[tuple[Group, PanelForecast, list[dict[str, str]]]]":
    """Read and forecast the series of a job, one frequency after the other.

    Args:
        params: what to forecast.
        context: of the job.
        recipe: a trained version to forecast with; without one all is learned anew.

    Yields:
        A group, its forecast, and the series that failed so far and were not told.

    Raises:
        InvalidData: a series does not exist, or none can be forecast.
    """
    from forecasting.forecast import (
        InvalidSeries,
        forecast_by_recipe,
        forecast_panel,
    )

    groups, failed = read_panel(params, context)
    total = len(failed) + sum(len(group.items) for group in groups)
    told, done = False, 0
    for group in groups:

        def tell(
            share: float, what: str, *, done: int = done, size: int = len(group.items)
        ) -> None:
            context.progress(
                total + done + int(share * size), 2 * total, "series", what
            )

        try:
            options = options_of(params, group.frequency)
            if recipe is None:
                found = forecast_panel(group.panel, options=options, tell=tell)
            else:
                found = forecast_by_recipe(group.panel, recipe=recipe, options=options)
        except InvalidSeries as error:
            names = [item.unique_id for item in group.items]
            failed += [{"unique_id": one, "detail": str(error)} for one in names]
            continue
        finally:
            done += len(group.items)
        unfit = [{"unique_id": name, "detail": text} for name, text in found.failed]
        yield group, found, [*failed, *unfit]
        failed = []
        told = True
    if not told:
        raise InvalidData(why_not(failed))


def series_json(forecast: "SeriesForecast") -> dict[str, Any]:
    """Return the forecast of one series as it stands in a result."""
    return {
        "unique_id": forecast.unique_id,
        "cutoff": rfc3339(forecast.cutoff),
        "model": forecast.model,
        "weights": forecast.weights,
        "season": forecast.season,
        "points": [
            {
                "ds": rfc3339(ts),
                "mean": float(forecast.mean[step]),
                "q": {
                    str(level): float(values[step])
                    for level, values in forecast.quantiles.items()
                },
            }
            for step, ts in enumerate(forecast.times)
        ],
        "evaluation": evaluation_json(forecast),
        "candidates": [finite(asdict(one)) for one in forecast.candidates],
        "warnings": list(forecast.warnings),
    }


def panel_json(group: Group, found: "PanelForecast") -> dict[str, Any]:
    """Return what holds for a whole group: what was tried, how often intervals held."""
    line, coverage = found.line, found.coverage
    return {
        "frequency": group.frequency,
        "series": len(found.series),
        "tried": list(line.names) if line else [],
        "beyond_budget": list(line.dropped) if line else [],
        "windows": line.windows if line else 0,
        "estimated_cpu_s": round(line.cost_s, 3) if line else 0.0,
        "coverage": {
            "nominal": coverage.nominal,
            "windows": coverage.windows,
            "by_step": [
                None if math.isnan(share) else round(float(share), 4)
                for share in coverage.by_step
            ],
        }
        if coverage
        else None,
    }


def evaluation_json(forecast: "SeriesForecast") -> dict[str, Any] | None:
    """Return the evaluation as JSON can hold it."""
    return None if forecast.evaluation is None else finite(asdict(forecast.evaluation))


def finite(record: Mapping[str, Any]) -> dict[str, Any]:
    """Replace numbers that JSON cannot hold by null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }


def forecast_row(
    series_id: int, forecast: "SeriesForecast", *, version: str | None = None
) -> forecasts.NewForecast:
    """Return the forecast of a stored series as it is kept with the series."""
    levels = list(forecast.quantiles)
    return forecasts.NewForecast(
        series_id=series_id,
        cutoff=aware(forecast.cutoff),
        model=version or forecast.model,
        quantiles=levels,
        points=[
            (
                aware(ts),
                float(forecast.mean[step]),
                [float(forecast.quantiles[level][step]) for level in levels],
            )
            for step, ts in enumerate(forecast.times)
        ],
        evaluation=evaluation_json(forecast),
        warnings=forecast.warnings,
    )


def point_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return a result as columns and rows, one for each series and step."""
    levels = [str(level) for level in result["quantiles"]]
    rows = [
        [item["unique_id"], point["ds"], item["model"], point["mean"]]
        + [point["q"].get(level) for level in levels]
        for item in result["series"]
        for point in item["points"]
    ]
    columns = ["unique_id", "ds", "model", "mean", *(f"q{level}" for level in levels)]
    return columns, rows


def in_order(
    params: SeriesParams, series: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Sort answers of several groups as the request named the series."""
    if params.data is not None:
        names = list(dict.fromkeys(row.unique_id for row in params.data))
    elif isinstance(params.series, list):
        names = list(params.series)
    else:
        return list(series)
    place = {name: number for number, name in enumerate(names)}
    return sorted(series, key=lambda one: place[one["unique_id"]])
