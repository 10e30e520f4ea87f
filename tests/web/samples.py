"""Small inputs with a known shape."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 3, 1, tzinfo=UTC)


def hours(count: int, *, spike_at: int | None = None) -> list[tuple[str, float]]:
    """Return hourly (time, value) pairs of a daily cycle, perhaps with one spike."""
    return [
        (
            (START + timedelta(hours=step)).isoformat().replace("+00:00", "Z"),
            round(100 + 10 * math.sin(step * math.tau / 24) + step % 7 * 0.1, 3)
            + (500 if step == spike_at else 0),
        )
        for step in range(count)
    ]


def inline(count: int, **more: Any) -> list[dict[str, Any]]:
    """Return the same as rows of a request."""
    name = more.pop("unique_id", "series")
    pairs = hours(count, **more)
    return [{"unique_id": name, "ds": ts, "y": value} for ts, value in pairs]


def observations(count: int, **more: Any) -> dict[str, Any]:
    """Return the same as a body of observations."""
    return {"observations": [{"ts": t, "value": v} for t, v in hours(count, **more)]}


def forecast(**params: Any) -> dict[str, Any]:
    """Return a forecast job that is quick to run."""
    quick = {"horizon": 6, "model": "seasonal_naive", "backtest": {"windows": 1}}
    return {"type": "forecast.run", "params": {**quick, **params}}


def analysis(**params: Any) -> dict[str, Any]:
    """Return an analysis job."""
    return {"type": "analysis.run", "params": params}
