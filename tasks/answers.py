"""How forecasts stand in results, in tables and with their series."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from db import forecasts
from tasks.inputs import SeriesParams, aware, rfc3339
from tasks.panels import Group

if TYPE_CHECKING:
    from forecasting.forecast import PanelForecast, SeriesForecast


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
        **(
            {}
            if forecast.samples is None
            else {"samples": [[float(v) for v in row] for row in forecast.samples]}
        ),
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
    # Sums of a hierarchy are nobody's to name; they come first, in their order.
    return sorted(series, key=lambda one: place.get(one["unique_id"], -1))
