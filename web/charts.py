"""Vega-Lite specifications of results: the same picture in a page, as SVG and PNG."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from web.words import decimals

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
MOST_POINTS = 4_000

_INK, _LINE, _ALARM, _AMBER = "#16323f", "#0b7285", "#c92a2a", "#d9822b"
_BANDS = ("#d6e9ef", "#b4d6e1", "#92c2d2")
"""Of intervals, the widest first; the last stands for all that are narrower."""
_STRETCH = "#f9e3e3"
_IN_A_ROW = 3
_LEAST_SHARE = 30
"""A level of one step is drawn as long as this part of the picture, to be seen."""
_X = {
    "field": "ts",
    "type": "temporal",
    # What lies at the edge is not cut in two.
    "scale": {"type": "utc", "padding": 12},
    "axis": {"title": "UTC", "labelOverlap": True, "tickCount": 8},
}
_CONFIG = {
    "font": "system-ui, sans-serif",
    "background": "white",
    "axis": {"grid": True, "gridColor": "#e9eef0", "labelColor": _INK},
    "view": {"stroke": None},
    "title": {"anchor": "start", "color": _INK, "subtitleColor": "#51666f"},
}

Observed = Iterable[tuple[str, float | None]]
"""Pairs of an RFC 3339 instant and a value, ascending."""


@dataclass(frozen=True)
class Level:
    """What was expected in a stretch, and the bound that was crossed, where known."""

    start: datetime
    end: datetime
    expected: float
    bound: float | None = None


def forecast_chart(
    item: Mapping[str, Any], *, observed: Observed, unit: str | None
) -> dict[str, Any]:
    """Return the picture of one series' forecast after its latest observations."""
    history = [{"ts": ts, "value": value} for ts, value in observed]
    steps = [{"ts": point["ds"], "mean": point["mean"]} for point in item["points"]]
    layers = [
        *_intervals(item["points"]),
        _layer(history, {"type": "line", "color": _INK}, "value", "observed"),
        _layer(
            _join(history, steps), {"type": "line", "color": _LINE}, "mean", "forecast"
        ),
    ]
    subtitle = _skill(item)
    return _chart(f"Forecast of {item['unique_id']}", subtitle, layers, unit)


def analysis_chart(item: Mapping[str, Any], *, unit: str | None) -> dict[str, Any]:
    """Return the picture of one series with its expected band and its anomalies."""
    points = [{"ts": point["ds"], **point} for point in item["points"][-MOST_POINTS:]]
    flagged = [point for point in points if point["is_anomaly"]]
    count = len(item["anomalies"])
    layers = [
        _band(points, ("lower", "upper"), "expected range", _BANDS[1]),
        _layer(points, {"type": "line", "color": _INK}, "value", "observed"),
        _layer(
            flagged,
            {"type": "point", "filled": True, "size": 70, "color": _ALARM},
            "value",
            "anomaly",
        ),
    ]
    found = f"{count} anomalies" if count != 1 else "1 anomaly"
    return _chart(f"Anomalies of {item['unique_id']}", found, layers, unit)


def incident_chart(
    key: str,
    *,
    observed: Observed,
    stretches: Sequence[tuple[datetime, datetime]],
    unit: str | None,
    levels: Sequence[Level] = (),
) -> dict[str, Any]:
    """Return the picture of a series of an incident with its stretches marked.

    Args:
        key: the key of the series.
        observed: what was observed before, in and after the stretches.
        stretches: half-open, where the anomalies of the series are.
        unit: of the values.
        levels: what was expected in the stretches instead.
    """
    points = [{"ts": ts, "value": value} for ts, value in observed]
    merged = _merged(stretches)
    flagged = [point for point in points if _within(point["ts"], merged)]
    spans = [{"ts": a.isoformat(), "end": b.isoformat()} for a, b in merged]
    layers = [
        _span(spans),
        _layer(points, {"type": "line", "color": _INK}, "value", "observed"),
        _layer(
            flagged,
            {"type": "point", "filled": True, "size": 50, "color": _ALARM},
            "value",
            "anomaly",
        ),
        *_levels(levels, least=_least(points)),
    ]
    told = f"{len(points):,} observations, {len(flagged):,} of them in an anomaly"
    if len(points) >= MOST_POINTS:
        told += "; the picture ends here, the incident may not"
    return _chart(key, told, layers, unit)


def _intervals(points: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the bands between pairs of quantiles, the widest first."""
    levels = sorted(points[0]["q"], key=float)
    pairs = list(zip(levels, reversed(levels), strict=True))[: len(levels) // 2]
    # One alone is not the palest.
    for at, (low, high) in enumerate(pairs, 1 if len(pairs) == 1 else 0):
        rows = [
            {"ts": one["ds"], "low": one["q"][low], "high": one["q"][high]}
            for one in points
        ]
        color = _BANDS[min(at, len(_BANDS) - 1)]
        yield _band(rows, ("low", "high"), _interval(float(low), float(high)), color)


def _interval(low: float, high: float) -> str:
    if abs(low + high - 1) < 1e-9:  # noqa: PLR2004 - sums of decimals are not exact
        return f"{100 * (high - low):.4g} % interval"
    return f"{100 * low:.4g} % to {100 * high:.4g} % quantile"


def _levels(levels: Sequence[Level], *, least: timedelta) -> Iterator[dict[str, Any]]:
    """Yield what was expected and the bounds, as short lines across the stretches."""
    for name, color, dash in (("expected", _LINE, []), ("bound", _AMBER, [4, 3])):
        rows = [
            {**_widened(one, least), name: said}
            for one in levels
            if (said := getattr(one, name)) is not None
        ]
        mark = {"type": "rule", "color": color, "strokeWidth": 3, "strokeDash": dash}
        layer = _layer(rows, mark, name, name)
        layer["encoding"]["x2"] = {"field": "end"}
        yield layer


def _widened(one: Level, least: timedelta) -> dict[str, Any]:
    more = max(least - (one.end - one.start), timedelta()) / 2
    return {
        "ts": (one.start - more).astimezone(UTC).isoformat(),
        "end": (one.end + more).astimezone(UTC).isoformat(),
    }


def _least(points: Sequence[Mapping[str, Any]]) -> timedelta:
    if not points:
        return timedelta()
    first, last = (datetime.fromisoformat(points[at]["ts"]) for at in (0, -1))
    return (last - first) / _LEAST_SHARE


def _merged(
    stretches: Sequence[tuple[datetime, datetime]],
) -> list[tuple[datetime, datetime]]:
    """Make one stretch of those that touch, so that none is drawn over another."""
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _within(ts: str | float | None, merged: list[tuple[datetime, datetime]]) -> bool:
    at = datetime.fromisoformat(str(ts))
    return any(start <= at < end for start, end in merged)


def _join(
    history: list[dict[str, Any]], steps: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Begin the forecast's line at the last observation, so that both lines meet."""
    seen = [row for row in history if row["value"] is not None]
    return [{"ts": row["ts"], "mean": row["value"]} for row in seen[-1:]] + steps


def _skill(item: Mapping[str, Any]) -> str:
    judged = item.get("evaluation")
    if not judged or judged.get("skill_vs_naive") is None:
        return f"model {item['model']}; too short for an out-of-sample error"
    windows = judged["windows"]
    return (
        f"model {item['model']}; {judged['skill_vs_naive']:+.1%} against the "
        f"{judged['baseline'].replace('_', ' ')} over {windows} windows"
    )


def _layer(
    rows: list[dict[str, Any]], mark: dict[str, Any], field: str, name: str
) -> dict[str, Any]:
    return {
        "name": name,
        "data": {"values": rows},
        "mark": {**mark, "tooltip": True},
        "encoding": {
            "x": _X,
            "y": {
                "field": field,
                "type": "quantitative",
                "scale": {"zero": False},
                "title": name,
            },
            "tooltip": [
                {"field": "ts", "type": "temporal", "title": "UTC"},
                {
                    "field": field,
                    "type": "quantitative",
                    "title": name,
                    "format": _format(rows, field),
                },
            ],
        },
    }


def _format(rows: list[dict[str, Any]], field: str) -> str:
    """Return how the largest number is shown with five digits, and so the others."""
    largest = max(
        (abs(row[field]) for row in rows if row[field] is not None), default=0
    )
    return f",.{decimals(largest)}f"


def _band(
    rows: list[dict[str, Any]], fields: tuple[str, str], name: str, color: str
) -> dict[str, Any]:
    low, high = fields
    return {
        "name": name,
        "data": {"values": rows},
        "mark": {"type": "area", "color": color},
        "encoding": {
            "x": _X,
            "y": {"field": low, "type": "quantitative", "title": name},
            "y2": {"field": high},
        },
    }


def _span(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": "anomalous stretch",
        "data": {"values": rows},
        "mark": {"type": "rect", "color": _STRETCH},
        "encoding": {"x": _X, "x2": {"field": "end"}},
    }


def _chart(
    title: str, subtitle: str, layers: list[dict[str, Any]], unit: str | None
) -> dict[str, Any]:
    layers = [layer for layer in layers if layer["data"]["values"]]
    colors = {layer.pop("name"): layer["mark"]["color"] for layer in layers}
    for name, layer in zip(colors, layers, strict=True):
        layer["encoding"]["color"] = _named(name, colors)
        if y := layer["encoding"].get("y"):
            y["title"] = unit or "value"
            y.setdefault("scale", {"zero": False})
    return {
        "$schema": SCHEMA,
        "title": {"text": title, "subtitle": subtitle},
        "width": "container",
        "height": 300,
        "layer": layers,
        "config": _CONFIG,
    }


def _named(name: str, colors: Mapping[str, str]) -> dict[str, Any]:
    """Return the encoding by which a layer has its place in the legend."""
    return {
        "datum": name,
        "type": "nominal",
        "scale": {"domain": list(colors), "range": list(colors.values())},
        "legend": {
            "title": None,
            "orient": "bottom",
            # In a row as far as a telephone is wide.
            "columns": _IN_A_ROW if len(colors) > _IN_A_ROW + 1 else len(colors),
            "symbolType": "square",
            "symbolOpacity": 1,
        },
    }
