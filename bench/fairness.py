"""``python -m bench.fairness``: how long a job waits while others hold the line.

First the forecast worker is saturated with real forecasts, and analyses come. Then a
tenant holds thousands of queued jobs, and other tenants come, and urgent jobs of its
own. Workers are as in production: one for forecasts, one for everything else.
"""

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import stack as platform
from bench.calls import Caller
from bench.drawn import draw, told, verdict
from bench.figures import Spread, spread
from bench.load import Refused
from bench.plans import asked
from bench.servers import Servers, running_servers
from db import keys
from tests.stack import Stack

AIM_S = 2.0
ANALYSIS = "an analysis beside saturated forecasts"
OTHER = "another tenant's first job"
URGENT = "an urgent job of the same tenant"
_AIMED = (ANALYSIS, OTHER)
_HELD_S = 0.2
_URGENT = 9
_WAIT_S = 60
_BUSY_WITHIN_S = 60.0
_HOURS = 7 * 24
_FIRST = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """How many jobs are in the way, and how often the wait is measured."""

    forecasts: int = 500
    held: int = 10_000
    times: int = 10


@dataclass(frozen=True)
class Line:
    """The seconds from submission to start; ``met`` is None where nothing was aimed."""

    name: str
    waits: Spread
    met: bool | None


def judge(waits: dict[str, Sequence[float]]) -> list[Line]:
    """Return the spread of every wait; the worst one decides."""
    found = []
    for name, each_s in waits.items():
        of_all = spread(each_s)
        found.append(
            Line(name, of_all, of_all.high < AIM_S if name in _AIMED else None)
        )
    return found


def table(lines: Sequence[Line]) -> str:
    """Return the lines as a table."""
    rows = [
        (
            one.name,
            f"{one.waits.median:.2f}",
            f"{one.waits.high:.2f}",
            "" if one.met is None else f"< {AIM_S:g}",
            verdict(one.met),
        )
        for one in lines
    ]
    return draw(("seconds until it starts", "median", "worst", "aim", ""), rows)


def wave() -> list[dict[str, Any]]:
    """Return hourly rows with a daily season, a trend and nothing random."""
    return [
        {
            "ds": (_FIRST + timedelta(hours=hour)).isoformat(),
            "y": round(50 + hour / 50 + 10 * math.sin(hour * math.tau / 24), 3),
        }
        for hour in range(_HOURS)
    ]


def beside_forecasts(servers: Servers, plan: Plan, *, folder: Path) -> list[float]:
    """Return the waits of analyses while the forecast queue is full."""
    forecast = {
        "type": "forecast.run",
        "params": {"data": wave(), "horizon": 24, "frequency": "1h"},
    }
    analysis = {
        "type": "analysis.run",
        "params": {"data": wave(), "frequency": "1h"},
    }
    with (
        platform.running(servers, name="bench_forecasts", folder=folder) as stack,
        Caller(platform.port(stack), stack.key) as caller,
    ):
        held = platform.submit_many(caller, forecast, plan.forecasts)
        _await_start(caller, held[0])
        found = [_wait_of(caller, analysis) for _ in range(plan.times)]
        _still_held(caller, held[-1])
        return found


def beside_a_tenant(
    servers: Servers, plan: Plan, *, folder: Path
) -> dict[str, list[float]]:
    """Return the waits of others and of urgent jobs while a tenant holds the line."""
    echo = {"type": "system.echo", "params": {"payload": {}}}
    slow = {"type": "system.echo", "params": {"payload": {}, "duration_s": _HELD_S}}
    with (
        platform.running(servers, name="bench_tenants", folder=folder) as stack,
        Caller(platform.port(stack), stack.key) as own,
    ):
        held = platform.submit_many(own, slow, plan.held)
        _await_start(own, held[0])
        others = [
            _first_of_another(stack, number, echo) for number in range(plan.times)
        ]
        urgent = [
            _wait_of(own, {**echo, "priority": _URGENT}) for _ in range(plan.times)
        ]
        _still_held(own, held[-1])
        return {OTHER: others, URGENT: urgent}


def _first_of_another(stack: Stack, number: int, job: dict[str, Any]) -> float:
    with stack.database.system() as connection:
        tenant_id = keys.ensure_tenant(connection, name=f"other {number}")
    with Caller(platform.port(stack), stack.new_key(tenant_id)) as caller:
        return _wait_of(caller, job)


def _wait_of(caller: Caller, job: dict[str, Any]) -> float:
    """Submit a job; return how long it waited, by the database's clock.

    Raises:
        Refused: it did not succeed in a minute.
    """
    job_id = caller.post("/v1/jobs", job)["id"]
    found = _until(caller, job_id, lambda one: one["state"] == "succeeded", _WAIT_S)
    return (_at(found["started_at"]) - _at(found["created_at"])).total_seconds()


def _await_start(caller: Caller, job_id: str) -> None:
    _until(caller, job_id, lambda one: one["state"] != "queued", _BUSY_WITHIN_S)


def _until(
    caller: Caller,
    job_id: str,
    good: Callable[[dict[str, Any]], bool],
    within_s: float,
) -> dict[str, Any]:
    ends_at = time.monotonic() + within_s
    while True:
        job: dict[str, Any] = json.loads(caller.get(f"/v1/jobs/{job_id}"))
        if good(job):
            return job
        if time.monotonic() > ends_at:
            raise Refused(f"after {within_s:g} s still: {job}")
        time.sleep(0.05)


def _still_held(caller: Caller, job_id: str) -> None:
    """Make sure that the line was long enough for the whole measurement."""
    job = json.loads(caller.get(f"/v1/jobs/{job_id}"))
    if job["state"] != "queued":
        raise Refused("the line was empty before the end: hold more jobs")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def run(servers: Servers, plan: Plan, *, folder: Path) -> list[Line]:
    """Measure all waits and judge them."""
    waits = {ANALYSIS: beside_forecasts(servers, plan, folder=folder)}
    return judge(waits | beside_a_tenant(servers, plan, folder=folder))


def main(words: list[str]) -> None:
    """Measure and print."""
    given = asked(Plan, words, name="fairness", about=__doc__)
    plan = given.plan
    with running_servers() as servers, tempfile.TemporaryDirectory() as folder:
        lines = run(servers, plan, folder=Path(folder))
    if given.json:
        found = {
            "plan": asdict(plan),
            "machine": servers.about,
            "lines": [asdict(one) for one in lines],
        }
        print(json.dumps(found, indent=2))
        return
    done = (
        f"{plan.times} times each. In the way: {plan.forecasts:,} forecasts of "
        f"{_HOURS} hourly rows; {plan.held:,} jobs of {_HELD_S:g} s of one tenant."
    )
    print(told(table(lines), done, servers.about))


if __name__ == "__main__":
    main(sys.argv[1:])
