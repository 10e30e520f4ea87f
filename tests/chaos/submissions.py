"""What is submitted, from a seed: all job types, priorities, labels, cancels.

Everything about a submission follows from its number, so the audit can say what its
effects must be without having been told.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

STORED = tuple(f"chaos.stored.{number}" for number in range(20))
UPLOADED = tuple(f"chaos.uploaded.{number}" for number in range(12))
HORIZON = 6
UPLOAD_ROWS = 24
_BEGINS = datetime(2020, 1, 1, tzinfo=UTC)

WIDE = 14
"""Series of a wide forecast, which runs in parts."""
PART = 5
"""Series of each of them."""
KEYS = 3
KEY_LIMIT = 2
"""Jobs that share one of so many concurrency keys, and may run at a time."""

SHARES = {
    "echo": 22,
    "slow echo": 18,
    "keyed echo": 8,
    "chained echo": 8,
    "forecast": 10,
    "wide forecast": 3,
    "inline forecast": 6,
    "backtest": 2,
    "explanation": 2,
    "strategy": 2,
    "analysis": 8,
    "ingest": 11,
}
"""The kinds of submission in percent."""

TYPES = {
    "echo": "system.echo",
    "slow echo": "system.echo",
    "keyed echo": "system.echo",
    "chained echo": "system.echo",
    "wide forecast": "forecast.run",
    "forecast": "forecast.run",
    "inline forecast": "forecast.run",
    "backtest": "forecast.backtest",
    "explanation": "forecast.explain",
    "strategy": "strategy.backtest",
    "analysis": "analysis.run",
    "ingest": "ingest.run",
}


@dataclass(frozen=True)
class Submission:
    """One job to submit; an ingest needs its file uploaded before."""

    number: int
    kind: str
    key: str
    params: dict[str, Any]
    priority: int
    labels: dict[str, str]
    more: dict[str, Any] = field(default_factory=dict)
    cancel_after_s: float | None = None
    deadline_s: float | None = None
    again: bool = False
    patience_s: float = 15.0
    series: tuple[str, ...] = field(default=())

    @property
    def type(self) -> str:
        """The job type."""
        return TYPES[self.kind]

    @property
    def chained(self) -> bool:
        """Whether it waits for a job that was accepted before."""
        return self.kind == "chained echo"


def make_submission(seed: int, number: int) -> Submission:
    """Draw the submission of this number."""
    rng = random.Random(f"{seed}/{number}")
    kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
    params, series = _params(rng, kind, number)
    cancelled = rng.random() < (0.25 if kind == "slow echo" else 0.04)
    return Submission(
        number=number,
        kind=kind,
        key=f"chaos-{seed}-{number}",
        params=params,
        priority=rng.choice((1, 5, 5, 5, 9)),
        labels={"chaos": str(number), "kind": kind},
        more=_more(rng, kind),
        cancel_after_s=round(rng.uniform(0, 1.5), 2) if cancelled else None,
        deadline_s=round(rng.uniform(1, 12), 1) if rng.random() < 0.04 else None,
        again=rng.random() < 0.1,
        patience_s=1.0 if rng.random() < 0.2 else 15.0,
        series=series,
    )


def _more(rng: random.Random, kind: str) -> dict[str, Any]:
    """Return what else the submission asks for."""
    more: dict[str, Any] = {}
    if rng.random() < 0.15:
        more["lane"] = "backfill"
    if rng.random() < 0.15:
        more |= {"max_attempts": 10, "retry": {"delay_s": 0.2, "factor": 1}}
    if kind == "keyed echo":
        key = f"chaos-{rng.randrange(KEYS)}"
        more |= {"concurrency_key": key, "concurrency_limit": KEY_LIMIT}
    return more


def _params(
    rng: random.Random, kind: str, number: int
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the params, without the upload of an ingest, and the stored series."""
    if kind in ("echo", "chained echo"):
        return {"payload": {"number": number}}, ()
    if kind in ("slow echo", "keyed echo"):
        longest = 2.0 if kind == "slow echo" else 0.5
        seconds = round(rng.uniform(0.2, longest), 1)
        return {"payload": {"number": number}, "duration_s": seconds}, ()
    if kind in ("inline forecast", "backtest", "explanation", "strategy"):
        return _inline(kind, number), ()
    if kind == "ingest":
        return {}, (upload_key(number),)
    count = WIDE if kind == "wide forecast" else rng.choice((1, 1, 2))
    series = tuple(sorted(rng.sample(STORED, count)))
    params: dict[str, Any] = {"series": list(series)}
    if kind == "wide forecast":
        params["panel"] = PART
    return (params if kind == "analysis" else params | _forecast()), series


def _inline(kind: str, number: int) -> dict[str, Any]:
    rows = [
        {"ds": _iso(_BEGINS + timedelta(hours=at)), "y": 10 + at % 24 + number % 7}
        for at in range(72)
    ]
    if kind == "strategy":
        return {"data": rows, "strategy": "momentum"}
    return {"data": rows, **_forecast()}


def _forecast() -> dict[str, Any]:
    return {"horizon": HORIZON, "model": "seasonal_naive"}


def upload_key(number: int) -> str:
    """Return the series the file of this number is about; many share one."""
    return UPLOADED[number % len(UPLOADED)]


def upload_rows(number: int) -> dict[datetime, float]:
    """Return what the file of this number says; no two files share a time."""
    first = _BEGINS + timedelta(hours=UPLOAD_ROWS * number)
    return {
        first + timedelta(hours=at): number + at / 100.0 for at in range(UPLOAD_ROWS)
    }


def upload_file(number: int) -> bytes:
    """Return the file of this number."""
    lines = [
        f"{upload_key(number)},{_iso(ts)},{value}"
        for ts, value in upload_rows(number).items()
    ]
    return ("series,ts,value\n" + "\n".join(lines) + "\n").encode()


def stored_observations(key: str) -> list[dict[str, Any]]:
    """Return a fortnight of hours for a series that jobs read."""
    level = 10 * (1 + STORED.index(key))
    return [
        {"ts": _iso(_BEGINS + timedelta(hours=at)), "value": level + at % 24}
        for at in range(24 * 14)
    ]


def _iso(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
