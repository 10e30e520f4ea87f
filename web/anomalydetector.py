"""From Azure AI Anomaly Detector's requests to jobs, and from results to its answers.

Reference: Azure REST API specifications, cognitiveservices, AnomalyDetector, v1.1.
"""

import itertools
from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from web.schemas.anomalydetector import (
    FEWEST_POINTS,
    ChangePointIn,
    DetectIn,
    Granularity,
    PointIn,
)

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_STEPS: Mapping[Granularity, str] = {
    "yearly": "P{}Y",
    "monthly": "P{}M",
    "weekly": "P{}W",
    "daily": "P{}D",
    "hourly": "PT{}H",
    "minutely": "PT{}M",
    "secondly": "PT{}S",
    # Jobs count in seconds at least, so a microsecond passes for one.
    "microsecond": "PT{}S",
}
_IMPUTED = {"notFill": "none"}
_CYCLES = 4
_MARGIN_SCALE = 100
_SENSITIVITY = 50


class BadSeries(ValueError):
    """The series is not one: out of order, without times, or with a time twice."""


def wanted(body: DetectIn, *, mode: str) -> dict[str, Any]:
    """Return the params of the job that judges the points.

    Raises:
        BadSeries: the times do not ascend, or some are missing.
    """
    params = _shared(body) | {
        "mode": mode,
        "sensitivity": sensitivity(body),
        "impute": _IMPUTED.get(body.impute_mode, body.impute_mode),
    }
    if body.impute_mode == "fixed":
        params["impute_value"] = body.impute_fixed_value
    if body.max_anomaly_ratio is not None:
        params["most_anomalous_share"] = body.max_anomaly_ratio
    return params


def changes_wanted(body: ChangePointIn) -> dict[str, Any]:
    """Return the params of the job that looks for lasting changes.

    Raises:
        BadSeries: the times do not ascend, or some are missing.
    """
    return _shared(body) | {"mode": "changepoints"}


def sensitivity(body: DetectIn) -> int:
    """Return the sensitivity asked for, or ours."""
    return _SENSITIVITY if body.sensitivity is None else body.sensitivity


def entire(body: DetectIn, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is thought of each point that was given."""
    by_time = {point["ds"]: point for point in found["points"]}
    points = [by_time[at] for at in _written(_times(body))]
    judged = [_judged(point, sensitivity(body)) for point in points]
    return {
        "period": _period(found),
        "expectedValues": [one["expectedValue"] for one in judged],
        "upperMargins": [one["upperMargin"] for one in judged],
        "lowerMargins": [one["lowerMargin"] for one in judged],
        "isAnomaly": [one["isAnomaly"] for one in judged],
        "isNegativeAnomaly": [one["isNegativeAnomaly"] for one in judged],
        "isPositiveAnomaly": [one["isPositiveAnomaly"] for one in judged],
        "severity": [one["severity"] for one in judged],
    }


def last(body: DetectIn, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is thought of the newest point."""
    period = _period(found)
    return {
        "period": period,
        "suggestedWindow": max(FEWEST_POINTS, _CYCLES * period + 1),
        **_judged(found["points"][-1], sensitivity(body)),
    }


def changes(body: ChangePointIn, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return which points begin something that lasts, and how sure that is.

    The lower the threshold, the surer a change must be. Of two that are nearer to one
    another than the window of stable trend, the surer one stays.
    """
    places = {at: place for place, at in enumerate(_written(_times(body)))}
    confidences = [0.0] * len(body.series)
    for change in found["change_points"]:
        if change["ds"] in places:
            confidences[places[change["ds"]]] = change["confidence"]
    kept: list[int] = []
    for place in sorted(range(len(confidences)), key=lambda at: -confidences[at]):
        near = any(abs(place - other) < body.stable_trend_window for other in kept)
        sure = confidences[place] > 0 and confidences[place] >= 1 - body.threshold
        if sure and not near:
            kept.append(place)
    return {
        "period": _period(found),
        "isChangePoint": [place in kept for place in range(len(confidences))],
        "confidenceScores": confidences,
    }


def _shared(body: DetectIn | ChangePointIn) -> dict[str, Any]:
    times = _times(body)
    rows = [
        {"ds": at, "y": point.value}
        for at, point in zip(_written(times), body.series, strict=True)
    ]
    step = _step(body, times)
    params = {"data": rows, "frequency": step}
    # Nought says that there is none, which is not the same as not knowing.
    return params if body.period is None else params | {"season": max(body.period, 1)}


def _step(body: DetectIn | ChangePointIn, times: Iterable[datetime]) -> str:
    months = {"monthly": 1, "yearly": 12}.get(body.granularity)
    if months and all(at.day == monthrange(at.year, at.month)[1] for at in times):
        # Counted from the 31st, a month has no such day; the ends of months go on.
        return f"{months * body.custom_interval}ME"
    return _STEPS.get(body.granularity, "PT{}S").format(body.custom_interval)


def _times(body: DetectIn | ChangePointIn) -> list[datetime]:
    step = timedelta(seconds=body.custom_interval)
    if body.granularity == "none":
        return [_EPOCH + place * step for place in range(len(body.series))]
    times = [_time(place, point) for place, point in enumerate(body.series)]
    for place, (before, at) in enumerate(itertools.pairwise(times), start=1):
        if at <= before:
            fault = "repeats a timestamp" if at == before else "goes back in time"
            message = f"series[{place}] {fault}: sort by timestamp, one point for each"
            raise BadSeries(message)
    if body.granularity == "microsecond":
        return _slowed(times)
    return times


def _slowed(times: list[datetime]) -> list[datetime]:
    try:
        return [_EPOCH + (at - times[0]) * 1_000_000 for at in times]
    except OverflowError as error:
        message = "series lasts too long for steps of a microsecond"
        raise BadSeries(message) from error


def _time(place: int, point: PointIn) -> datetime:
    at = point.timestamp
    if at is None:
        message = f"series[{place}] has no timestamp; only granularity none has none"
        raise BadSeries(message)
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        message = f"series[{place}] has a timestamp that is of no year in UTC"
        raise BadSeries(message) from error


def _written(times: Iterable[datetime]) -> list[str]:
    return [at.isoformat().replace("+00:00", "Z") for at in times]


def _period(found: Mapping[str, Any]) -> int:
    season: int = found["season"]
    return season if season > 1 else 0


def _judged(point: Mapping[str, Any], level: int) -> dict[str, Any]:
    """Return one point's judgement; where nothing is expected, the value is."""
    value = point["value"]
    expected = value if point["expected"] is None else point["expected"]
    upper = expected if point["upper"] is None else point["upper"]
    lower = expected if point["lower"] is None else point["lower"]
    strange = point["is_anomaly"]
    # The client gets the bound back as expected + (100 - sensitivity) * margin.
    scale = _MARGIN_SCALE - level
    return {
        "expectedValue": expected,
        "upperMargin": max(upper - expected, 0.0) / scale,
        "lowerMargin": max(expected - lower, 0.0) / scale,
        "isAnomaly": strange,
        "isNegativeAnomaly": strange and value < expected,
        "isPositiveAnomaly": strange and value > expected,
        "severity": point["score"] if strange else 0.0,
    }
