"""Kill -9 and restarts while 200 jobs run: each job ends once, with one result."""

import collections
import itertools
import time
from collections.abc import Iterator

import psutil
import pytest
import requests

from tests.servers import choice
from tests.stack import Stack, running_stack

JOBS = 200
KEYS = [f"crash.{number}" for number in range(10)]
TUNED = {
    "FOREBAY_LEASE_S": "6",
    "FOREBAY_HEARTBEAT_S": "1",
    "FOREBAY_LOST_AFTER_S": "3",
    "FOREBAY_RETRY_DELAY_S": "0.5",
    "FOREBAY_SHUTDOWN_S": "1",
}
_numbers = itertools.count(1)
WORKERS = (("forecast", 1), ("ingest,analysis,system", 2))


@pytest.fixture(scope="module")
def own_postgres():
    """A PostgreSQL that may be restarted, with fsync on."""
    with choice.postgres(fsync=True) as server:
        yield server


@pytest.fixture(scope="module")
def own_rabbitmq():
    """A RabbitMQ that may be restarted."""
    with choice.rabbitmq() as server:
        yield server


@pytest.fixture
def stack(own_postgres, own_rabbitmq, tmp_path) -> Iterator[Stack]:
    name = f"crashes_{next(_numbers)}"
    broker = {
        "FOREBAY_BROKER_URL": own_rabbitmq.add_vhost(name),
        "FOREBAY_QUEUE_TYPE": "quorum",
    }
    own_postgres.create_database(name)
    with running_stack(
        database_url=own_postgres.url(name),
        broker=broker,
        folder=tmp_path,
        workers=WORKERS,
        tuned=TUNED,
    ) as found:
        yield found


def _store_series(stack: Stack) -> None:
    values = [10 + hour % 24 for hour in range(24 * 14)]
    for key in KEYS:
        rows = [
            {"ts": f"2026-01-{1 + at // 24:02d}T{at % 24:02d}:00:00Z", "value": value}
            for at, value in enumerate(values)
        ]
        answer = stack.call(
            "POST", f"/v1/series/{key}/observations", json={"observations": rows}
        )
        assert answer.json()["written"] == len(rows), answer.text


def _submit_all(stack: Stack) -> list[str]:
    jobs = []
    for number in range(JOBS):
        key = KEYS[number % len(KEYS)]
        forecast = {"series": [key], "horizon": 6, "model": "seasonal_naive"}
        jobs.append(
            {"type": "forecast.run", "params": forecast}
            if number % 4 == 0
            else {"type": "analysis.run", "params": {"series": [key]}}
            if number % 4 == 1
            else {"type": "system.echo", "params": {"duration_s": 0.3}}
        )
    answer = stack.call("POST", "/v1/jobs/batch", json={"jobs": jobs})
    return [item["id"] for item in answer.json()["items"]]


def _wait_for(stack: Stack, done: int, *, of: list[str]) -> None:
    """Wait until so many jobs have ended; the supervisor restarts what died."""
    ends_at = time.monotonic() + 150
    while time.monotonic() < ends_at:
        stack.supervisor.tend()
        try:
            with stack.database.system() as connection:
                counted = connection.exec_driver_sql(
                    "SELECT count(*) FROM jobs WHERE state NOT IN ('queued', 'running')"
                ).scalar_one()
        except Exception:  # noqa: BLE001 - the database itself may be on its way back
            counted = -1
        if counted >= done:
            return
        time.sleep(0.2)
    raise AssertionError(f"{counted} of {len(of)} ended\n{stack.tails()}")


def _rows(stack: Stack, query: str) -> list[tuple]:
    with stack.database.system() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_every_job_ends_once_whatever_is_killed(stack, own_postgres, own_rabbitmq):
    _store_series(stack)
    ids = _submit_all(stack)
    faults = [
        ("a pool child", lambda: _kill_children(stack)),
        ("a whole worker", lambda: stack.kill("worker-1")),
        ("the dispatcher", lambda: stack.kill("dispatcher")),
        ("the web process", lambda: stack.kill("web")),
        ("RabbitMQ", own_rabbitmq.restart),
        ("PostgreSQL", own_postgres.restart),
    ]
    for number, (_name, strike) in enumerate(faults):
        _wait_for(stack, (number + 1) * JOBS // 12, of=ids)
        strike()
        stack.supervisor.tend()
    _wait_for(stack, JOBS, of=ids)

    states = dict(_rows(stack, "SELECT id, state FROM jobs"))
    assert set(states) == set(ids)
    counted = collections.Counter(states.values())
    assert counted == {"succeeded": JOBS}, stack.tails()
    results = _rows(stack, "SELECT job_id FROM job_results")
    assert sorted(results) == sorted((job_id,) for job_id in ids)
    finals = _rows(
        stack,
        "SELECT job_id, count(*) FROM job_events "
        "WHERE kind IN ('succeeded', 'failed', 'cancelled') GROUP BY job_id",
    )
    assert sorted(finals) == sorted((job_id, 1) for job_id in ids)
    forecasts = _rows(
        stack,
        "SELECT forecasts.job_id, count(ts) FROM forecasts JOIN forecast_points "
        "ON forecast_id = forecasts.id GROUP BY forecasts.id",
    )
    assert sorted(forecasts) == sorted((job_id, 6) for job_id in ids[::4])
    analyses = _rows(stack, "SELECT job_id FROM analyses")
    assert sorted(analyses) == sorted((job_id,) for job_id in ids[1::4])
    assert _rows(stack, "SELECT * FROM outbox") == []
    ended = stack.call("GET", f"/v1/jobs/{ids[0]}").json()
    assert ended["state"] == "succeeded"


def test_the_events_of_a_killed_job_tell_its_story(stack):
    job = stack.submit("system.echo", {"duration_s": 4})
    _until(lambda: stack.call("GET", f"/v1/jobs/{job['id']}").json(), "running")
    _kill_children(stack)
    ended = stack.ended(job["id"])
    assert ended["state"] == "succeeded"
    assert ended["attempt"] == 2
    stream = stack.call("GET", f"/v1/jobs/{job['id']}/events").text
    kinds = [
        line.removeprefix("event: ")
        for line in stream.splitlines()
        if line.startswith("event: ") and line != "event: progress"
    ]
    assert kinds == ["queued", "running", "retrying", "running", "succeeded"]


def test_a_job_that_kills_its_worker_each_time_ends_with_the_reason(stack):
    job = stack.submit("system.echo", {"duration_s": 60})
    for _ in range(3):
        _until(lambda: stack.call("GET", f"/v1/jobs/{job['id']}").json(), "running")
        _kill_children(stack)
        _until(
            lambda: stack.call("GET", f"/v1/jobs/{job['id']}").json(),
            "queued",
            "failed",
        )
    ended = stack.ended(job["id"])
    assert (ended["state"], ended["reason"]) == ("failed", "worker_lost")
    assert "died" in ended["error"]["detail"]
    again = stack.call("POST", f"/v1/jobs/{job['id']}/retry").json()
    assert again["retry_of"] == job["id"]
    cancelled = stack.call("POST", f"/v1/jobs/{again['id']}/cancel").json()
    assert cancelled["id"] == again["id"]
    assert stack.ended(again["id"], within_s=12)["state"] == "cancelled"


def test_a_stopped_worker_gives_its_job_back_at_once(stack):
    job = stack.submit("system.echo", {"duration_s": 8})
    _until(lambda: stack.call("GET", f"/v1/jobs/{job['id']}").json(), "running")
    psutil.Process(stack.supervisor.pids()["worker-1"]).terminate()
    ends_at = time.monotonic() + 30
    while time.monotonic() < ends_at:
        now = stack.call("GET", f"/v1/jobs/{job['id']}").json()
        if now["attempt"] == 2:
            break
        time.sleep(0.05)
    assert now["attempt"] == 2
    log = (stack.logs / "worker-1.log").read_text()
    assert "job given back" in log
    assert stack.ended(job["id"])["state"] == "succeeded"


def _kill_children(stack: Stack) -> None:
    for child in stack.children("worker-1"):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()


def _until(read, *states: str) -> None:
    ends_at = time.monotonic() + 40
    while time.monotonic() < ends_at:
        try:
            if read()["state"] in states:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"never {states}: {read()}")
