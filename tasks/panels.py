"""Params and results that the forecasting job types share, and the panel they read."""

import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tasks.catalog import Params
from tasks.context import JobContext
from tasks.covariates import CovariateParams, attributes_of, covariate_reader
from tasks.errors import InvalidData
from tasks.grid import GridParams, fill_rules
from tasks.inputs import Input, SeriesParams, common_step, inputs
from tasks.parts import NoAnswer
from tasks.vintages import vintages_of

if TYPE_CHECKING:
    from forecasting.forecast import (
        ForecastOptions,
        PanelForecast,
        PanelSeries,
    )
    from forecasting.recipe import Recipe
    from forecasting.telling import Tell

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
    vintages: bool = Field(
        default=False,
        description="Each window reads the stored series as they were known at its "
        "cutoff, a value that was not known yet as it was first released; by default "
        "all windows read the values of now.",
    )


class HierarchyParams(Params):
    """Series and their sums, by attributes; all means agree."""

    levels: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=5)
    ] = Field(
        default=[],
        description="Attributes that divide the total, widest first: region, state.",
    )
    method: Literal["bottom_up", "wls", "mint"] = Field(
        default="mint",
        description="bottom_up sums the series; wls and mint use the errors of all "
        "nodes, mint also how they move together.",
    )


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
        "by default 12, and 2 for each series.",
    )
    lower: float | None = Field(
        default=None,
        description="Nothing is forecast below; by default 0 for series "
        "that were never negative.",
    )
    samples: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="Whole futures to draw for each series.",
    )
    upper: float | None = Field(default=None, description="Nothing is forecast above.")
    hierarchy: HierarchyParams | None = Field(
        default=None,
        description="Forecast sums of the series too, and make them agree.",
    )
    backtest: Backtest = Backtest()
    seed: int = Field(default=0, ge=0, le=2**31 - 1)

    @property
    def in_order(self) -> bool:
        """See SeriesParams.in_order."""
        return self.fill.duplicates == "refuse"

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
        return named[0] if len(named) == 1 else model

    @model_validator(mode="after")
    def _stored_series_have_vintages(self) -> "PanelParams":
        if self.backtest.vintages and self.data is not None:
            message = "vintages need stored series: inline data has no versions"
            raise ValueError(message)
        if self.backtest.vintages and self.hierarchy is not None:
            message = "sums of series have no vintages: leave out one of them"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _room_between_bounds(self) -> "PanelParams":
        lower, upper = self.lower, self.upper
        if lower is not None and upper is not None and lower >= upper:
            message = f"lower {lower} leaves no room below upper {upper}"
            raise ValueError(message)
        return self


class FlatPanelParams(PanelParams):
    """The same for job types that neither make sums agree nor draw futures."""

    @model_validator(mode="after")
    def _flat(self) -> "FlatPanelParams":
        for name in ("hierarchy", "samples"):
            if getattr(self, name):
                message = f"{name} has no meaning here: ask forecast.run for it"
                raise ValueError(message)
        return self


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
    read = covariate_reader(params, context, then=params.then)
    for number, (total, item) in enumerate(inputs(params, context)):
        context.progress(number, 2 * total, "series", f"reading {item.unique_id}")
        try:
            frequency, one = _panel_series(item)
            one = replace(
                one,
                covariates=read(item),
                attributes=attributes_of(params, item.unique_id),
                vintages=(
                    vintages_of(item, context, then=params.then)
                    if params.backtest.vintages
                    else None
                ),
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
        samples=params.samples,
        rules=fill_rules(params.fill),
        calendar=params.calendar,
        timezone=params.timezone,
        span=params.span,
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
        A group, its forecast, and the series that failed so far and were not told; with
        the last group all that are left.

    Raises:
        InvalidData: a series does not exist, or none can be forecast.
    """
    from forecasting.forecast import InvalidSeries

    groups, failed = read_panel(params, context)
    total = len(failed) + sum(len(group.items) for group in groups)
    done = 0
    # Each answer waits for the next, so that the last one can tell all failures.
    waiting: tuple[Group, PanelForecast] | None = None
    for group in groups:
        tell = _teller(context, total, done, len(group.items))
        done += len(group.items)
        try:
            whole, found = _forecast(params, group, recipe, tell)
        except InvalidSeries as error:
            names = [item.unique_id for item in group.items]
            failed += [{"unique_id": one, "detail": str(error)} for one in names]
            continue
        if waiting is not None:
            yield *waiting, failed
            failed = []
        failed += [{"unique_id": name, "detail": text} for name, text in found.failed]
        waiting = whole, found
    if waiting is None:
        raise NoAnswer(failed)
    yield *waiting, failed


def _teller(context: JobContext, total: int, done: int, size: int) -> "Tell":
    """Return what counts the forecast of a group after all that was read."""

    def tell(share: float, what: str) -> None:
        context.progress(total + done + int(share * size), 2 * total, "series", what)

    return tell


def _forecast(
    params: PanelParams, group: Group, recipe: "Recipe | None", tell: "Tell"
) -> "tuple[Group, PanelForecast]":
    from forecasting.forecast import (
        InvalidSeries,
        forecast_by_recipe,
        forecast_panel,
    )

    options = options_of(params, group.frequency)
    if params.hierarchy is not None:
        return _hierarchical(params.hierarchy, group, options, tell)
    if recipe is None:
        return group, forecast_panel(group.panel, options=options, tell=tell)
    asked = replace(options, calendar=recipe.calendar, timezone=recipe.timezone)
    if not recipe.fits(asked):
        raise InvalidSeries(
            f"the version forecasts {recipe.horizon} steps of {recipe.frequency}, not "
            f"{options.horizon} of {group.frequency}"
        )
    tell(0.0, "forecasting with the version")
    return group, forecast_by_recipe(group.panel, recipe=recipe, options=options)


def _hierarchical(
    wanted: HierarchyParams, group: Group, options: "ForecastOptions", tell: "Tell"
) -> "tuple[Group, PanelForecast]":
    """Forecast a group and its sums, which become items that are not stored."""
    from forecasting.hierarchy import build_hierarchy, forecast_hierarchy

    hierarchy = build_hierarchy(group.panel, levels=wanted.levels)
    sums = hierarchy.nodes[: len(hierarchy.nodes) - len(group.panel)]
    items = [
        Input(one.unique_id, None, group.frequency, one.times, one.values)
        for one in sums
    ]
    found = forecast_hierarchy(
        hierarchy, method=wanted.method, options=options, tell=tell
    )
    whole = Group(group.frequency, (*items, *group.items), hierarchy.nodes)
    return whole, found
