"""The main job on real data: ingest, forecast and analyse, all over HTTP."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedded.client import Client

DATA = Path(__file__).parent / "data" / "pjm_load.csv.gz"
SERIES = {
    "pjm.aep.load": "Load, American Electric Power zone",
    "pjm.comed.load": "Load, Commonwealth Edison zone",
    "pjm.dayton.load": "Load, Dayton zone",
}
TAG = "pjm"
ZONE = "America/New_York"
HORIZON = 24
WINDOWS = 7  # a whole week: each day of it is forecast once, unseen
_LAYOUT = {
    "series_column": "series",
    "ts_column": "local_time",
    "value_column": "mw",
    "timezone": ZONE,
    "stamp": "end",
    "frequency": "1h",
}


@dataclass(frozen=True)
class Shown:
    """The three jobs of the demo, with their results.

    ``again`` if they ran at an earlier start.
    """

    ingest: dict[str, Any]
    forecast: dict[str, Any]
    analysis: dict[str, Any]
    again: bool = False


def main_job(client: Client) -> Shown:
    """Run the demo's jobs, or find the ones that ran before.

    Raises:
        CallFailed: a call or a job failed.
    """
    began = datetime.now(UTC)
    body = DATA.read_bytes()
    mark = hashlib.sha256(body).hexdigest()[:16]
    for key, title in SERIES.items():
        client.call(
            "PUT",
            f"/v1/series/{key}",
            {
                "title": title,
                "unit": "MW",
                "frequency": "1h",
                "timezone": ZONE,
                "tags": [TAG],
            },
        )
    upload = client.call(
        "POST",
        "/v1/uploads?filename=pjm_load.csv.gz",
        body,
        headers={
            "Content-Type": "text/csv",
            "Idempotency-Key": f"demo-upload-{mark}",
        },
    )
    ingest = client.run(
        "ingest.run",
        {"source": "upload", "upload": upload["id"], "layout": _LAYOUT},
        once=f"demo-ingest-{mark}",
    )
    forecast = client.run(
        "forecast.run",
        {
            "series": {"tag": TAG},
            "horizon": HORIZON,
            "frequency": "1h",
            "backtest": {"windows": WINDOWS},
        },
        once=f"demo-forecast-{mark}",
    )
    start, end = latest_month(client.call("GET", f"/v1/series/{next(iter(SERIES))}"))
    analysis = client.run(
        "analysis.run",
        {"series": {"tag": TAG}, "from": start, "to": end, "frequency": "1h"},
        once=f"demo-analysis-{mark}",
    )
    again = datetime.fromisoformat(ingest["created_at"]) < began
    return Shown(ingest, forecast, analysis, again)


def latest_month(series: dict[str, Any]) -> tuple[str, str]:
    """Return the last whole UTC month before a series' latest observation."""
    last = datetime.fromisoformat(series["last"])
    end = last.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    before = end.month - 1 or 12
    start = end.replace(month=before, year=end.year - (before == 12))  # noqa: PLR2004
    return start.isoformat(), end.isoformat()
