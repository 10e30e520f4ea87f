"""Vega-Lite specifications of results: the same picture in a page, as SVG and PNG."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
MOST_POINTS = 4_000

_INK, _BAND, _LINE, _ALARM = "#16323f", "#7fb7c9", "#0b7285", "#c92a2a"
_X = {
    "field": "ts",
    "type": "temporal",
    "scale": {"type": "utc"},
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


def forecast_chart(
    item: Mapping[str, Any], *, observed: Observed, unit: str | None
) -> dict[str, Any]:
    """Return the picture of one series' forecast after its latest observations."""
    history = [{"ts": ts, "value": value} for ts, value in observed]
    levels = sorted(item["points"][0]["q"], key=float)
    low, high = levels[0], levels[-1]
    steps = [
        {
            "ts": point["ds"],
            "mean": point["mean"],
            "low": point["q"][low],
            "high": point["q"][high],
        }
        for point in item["points"]
    ]
    band = f"{float(low):.0%} to {float(high):.0%} quantile"
    layers = [
        _layer(history, {"type": "line", "color": _INK}, "value", "observed"),
        _band(steps, "low", "high", band),
        _layer(_join(history, steps), {"type": "line", "color": _LINE}, "mean", "mean"),
    ]
    subtitle = _skill(item)
    return _chart(f"Forecast of {item['unique_id']}", subtitle, layers, unit)


def analysis_chart(item: Mapping[str, Any], *, unit: str | None) -> dict[str, Any]:
    """Return the picture of one series with its expected band and its anomalies."""
    points = [{"ts": point["ds"], **point} for point in item["points"][-MOST_POINTS:]]
    flagged = [point for point in points if point["is_anomaly"]]
    count = len(item["anomalies"])
    layers = [
        _band(points, "lower", "upper", "expected range"),
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
) -> dict[str, Any]:
    """Return the picture of a series of an incident with its stretches marked.

    Args:
        key: the key of the series.
        observed: what was observed before, in and after the stretches.
        stretches: half-open, where the anomalies of the series are.
        unit: of the values.
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
    ]
    told = f"{len(points):,} observations, {len(flagged):,} of them in an anomaly"
    if len(points) >= MOST_POINTS:
        told += "; the picture ends here, the incident may not"
    return _chart(key, told, layers, unit)


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
                    "format": ",.4",
                },
            ],
        },
    }


def _band(rows: list[dict[str, Any]], low: str, high: str, name: str) -> dict[str, Any]:
    return {
        "data": {"values": rows},
        "mark": {"type": "area", "color": _BAND, "opacity": 0.45},
        "encoding": {
            "x": _X,
            "y": {"field": low, "type": "quantitative", "title": name},
            "y2": {"field": high},
        },
    }


def _span(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "data": {"values": rows},
        "mark": {"type": "rect", "color": _ALARM, "opacity": 0.15},
        "encoding": {"x": _X, "x2": {"field": "end"}},
    }


def _chart(
    title: str, subtitle: str, layers: list[dict[str, Any]], unit: str | None
) -> dict[str, Any]:
    layers = [layer for layer in layers if layer["data"]["values"]]
    for layer in layers:
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
