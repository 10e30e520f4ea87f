"""``forecast.run``: forecasts with quantiles and an honest evaluation."""

import math
import pkgutil
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from db import forecasts
from db.session import Connection
from tasks.catalog import Params, job_type
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.inputs import Input, SeriesParams, aware, common_step, inputs, rfc3339
from tasks.parts import by_series, refuse_empty

if TYPE_CHECKING:
    from forecasting.forecast import SeriesForecast

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


class ForecastParams(SeriesParams):
    """What to forecast, how far, and how to judge it."""

    horizon: int = Field(ge=1, le=MAX_HORIZON, description="Steps to forecast.")
    quantiles: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1, max_length=99)
    ] = Field(default=[0.1, 0.5, 0.9], description="Levels, ascending.")
    model: str = Field(
        default="auto", description="A model's name, or auto to choose by backtest."
    )
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
    def _known(cls, name: str) -> str:
        if name not in known_models():
            message = f"unknown model; known are {', '.join(known_models())}"
            raise ValueError(message)
        return name


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return a result as columns and rows, one for each series and step."""
    levels = [str(level) for level in result["quantiles"]]
    rows = [
        [item["unique_id"], point["ds"], item["model"], point["mean"]]
        + [point["q"][level] for level in levels]
        for item in result["series"]
        for point in item["points"]
    ]
    columns = ["unique_id", "ds", "model", "mean", *(f"q{level}" for level in levels)]
    return columns, rows


@job_type(
    "forecast.run",
    params=ForecastParams,
    queue="forecast",
    table=as_table,
    parts=by_series("forecast.run"),
)
def forecast_run(params: ForecastParams, context: JobContext) -> Outcome:
    """Forecast stored or given series, with quantiles and out-of-sample error."""
    done: list[tuple[Input, SeriesForecast]] = []
    failed: list[dict[str, str]] = []
    for number, (total, item) in enumerate(inputs(params, context)):
        context.progress(number, total, "series", f"forecasting {item.unique_id}")
        try:
            done.append((item, _forecast(params, item)))
        except InvalidData as error:
            failed.append({"unique_id": item.unique_id, "detail": str(error)})
    if context.part is None:
        refuse_empty(done, failed)
    total = len(done) + len(failed)
    context.progress(total, total, "series", "storing")
    result = {
        "horizon": params.horizon,
        "quantiles": params.quantiles,
        "series": [_as_json(item, forecast) for item, forecast in done],
        "failed": failed,
    }

    def store(connection: Connection) -> Mapping[str, Any]:
        for item, forecast in done:
            if item.series_id is not None:
                forecasts.store(
                    connection,
                    tenant_id=context.tenant_id,
                    job_id=context.job_id,
                    new=_as_row(item.series_id, forecast),
                )
        return {}

    return Outcome(result, store)


def _forecast(params: ForecastParams, item: Input) -> "SeriesForecast":
    import numpy as np

    from forecasting.forecast import ForecastOptions, InvalidSeries, forecast_series

    observed = int(np.isfinite(item.values).sum())
    if observed < _FEWEST_OBSERVATIONS:
        raise InvalidData(
            f"{observed} observations are too few to forecast with an honest error; "
            f"at least {_FEWEST_OBSERVATIONS} are needed"
        )
    options = ForecastOptions(
        horizon=params.horizon,
        frequency=item.frequency or common_step(item.times),
        quantiles=tuple(params.quantiles),
        model=params.model,
        windows=params.backtest.windows,
        seed=params.seed,
    )
    try:
        return forecast_series(item.values, times=item.times, options=options)
    except InvalidSeries as error:
        raise InvalidData(str(error)) from error


def _as_json(item: Input, forecast: "SeriesForecast") -> dict[str, Any]:
    return {
        "unique_id": item.unique_id,
        "cutoff": rfc3339(forecast.cutoff),
        "model": forecast.model,
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
        "evaluation": _evaluation(forecast),
        "candidates": [_finite(asdict(one)) for one in forecast.candidates],
        "warnings": list(forecast.warnings),
    }


def _evaluation(forecast: "SeriesForecast") -> dict[str, Any] | None:
    return None if forecast.evaluation is None else _finite(asdict(forecast.evaluation))


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    """Replace numbers that JSON cannot hold by null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }


def _as_row(series_id: int, forecast: "SeriesForecast") -> forecasts.NewForecast:
    levels = list(forecast.quantiles)
    return forecasts.NewForecast(
        series_id=series_id,
        cutoff=aware(forecast.cutoff),
        model=forecast.model,
        quantiles=levels,
        points=[
            (
                aware(ts),
                float(forecast.mean[step]),
                [float(forecast.quantiles[level][step]) for level in levels],
            )
            for step, ts in enumerate(forecast.times)
        ],
        evaluation=_evaluation(forecast),
        warnings=forecast.warnings,
    )
