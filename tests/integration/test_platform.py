"""What a queued, waiting, split or poisonous job does on real workers and RabbitMQ."""

import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.stack import Stack, running_stack

TUNED = {
    "FOREBAY_LEASE_S": "6",
    "FOREBAY_HEARTBEAT_S": "0.5",
    "FOREBAY_RETRY_DELAY_S": "0.1",
    "FOREBAY_SHUTDOWN_S": "1",
}
WORKERS = (("forecast", 1), ("ingest,analysis,system", 1))


@pytest.fixture(scope="module")
def stack(postgres_server, rabbitmq_server, tmp_path_factory) -> Iterator[Stack]:
    postgres_server.create_database("forebay_platform")
    with running_stack(
        database_url=postgres_server.url("forebay_platform"),
        broker={"FOREBAY_BROKER_URL": rabbitmq_server.add_vhost("platform")},
        folder=tmp_path_factory.mktemp("platform"),
        workers=WORKERS,
        tuned=TUNED,
    ) as found:
        yield found
    postgres_server.drop_database("forebay_platform")


def _until(stack: Stack, holds: Callable[[], object], *, within_s: float = 40) -> None:
    ends_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends_at, stack.tails()
        stack.supervisor.tend()
        time.sleep(0.05)


def _job(stack: Stack, job_id: str) -> dict:
    return stack.call("GET", f"/v1/jobs/{job_id}").json()


def _store(stack: Stack, keys: list[str], hours: int = 72) -> None:
    rows = [
        {"ts": f"2026-01-{1 + at // 24:02d}T{at % 24:02d}:00:00Z", "value": at % 24}
        for at in range(hours)
    ]
    for key in keys:
        path = f"/v1/series/{key}"
        made = stack.call("PUT", path, json={"title": key, "tags": ["parted"]})
        assert made.ok, made.text
        stack.call("POST", f"{path}/observations", json={"observations": rows})


def test_a_job_that_kills_its_worker_each_time_ends_after_its_cap(stack):
    poison = stack.submit(
        "system.echo",
        {"duration_s": 60},
        max_attempts=2,
        retry={"delay_s": 0, "max_delay_s": 0},
    )["id"]
    for attempt in (1, 2):

        def runs(attempt=attempt) -> bool:
            job = _job(stack, poison)
            return job["state"] == "running" and job["attempt"] == attempt

        _until(stack, runs)
        for child in stack.children("worker-1"):
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()
    ended = stack.ended(poison)
    assert (ended["state"], ended["reason"], ended["attempt"]) == (
        "failed",
        "worker_lost",
        2,
    )
    listed = stack.call("GET", "/v1/jobs?state=failed&reason=worker_lost").json()
    assert [job["id"] for job in listed["items"]] == [poison]


def test_a_chain_runs_in_order_and_a_broken_step_stops_the_rest(stack):
    jobs = [
        {"ref": "a", "type": "system.echo", "params": {"payload": {"n": 1}}},
        {"ref": "b", "after": ["a"], "type": "system.echo"},
        {"ref": "c", "after": ["b"], "type": "forecast.run", "params": _NO_SERIES},
        {"ref": "d", "after": ["c"], "type": "system.echo"},
        {"after": ["d"], "on_failure": "run", "type": "system.echo"},
    ]
    answer = stack.call("POST", "/v1/jobs/batch", json={"jobs": jobs}).json()
    assert answer["rejected"] == 0
    ended = [stack.ended(item["id"]) for item in answer["items"]]
    states = ["succeeded", "succeeded", "failed", "cancelled", "succeeded"]
    assert [job["state"] for job in ended] == states
    assert ended[3]["reason"] == "dependency_failed"
    assert ended[2]["id"] in ended[3]["error"]["detail"]
    assert ended[0]["finished_at"] <= ended[1]["started_at"]


_NO_SERIES = {"series": ["there.is.none"], "horizon": 3}


def test_a_large_forecast_runs_in_parts_and_has_one_result(stack):
    keys = [f"parted.{number:03}" for number in range(120)]
    _store(stack, keys)
    params = {
        "series": {"tag": "parted"},
        "horizon": 3,
        "panel": 40,
        "model": "seasonal_naive",
        "backtest": {"windows": 1},
    }
    job = stack.submit("forecast.run", params)
    ended = stack.ended(job["id"], within_s=120)
    assert ended["state"] == "succeeded", ended
    assert ended["progress"]["unit"] == "parts"
    result = stack.call("GET", f"/v1/jobs/{job['id']}/result").json()
    assert [one["unique_id"] for one in result["series"]] == keys
    parts = stack.call("GET", f"/v1/jobs/{job['id']}/parts").json()["items"]
    assert len(parts) == ended["progress"]["total"] + 1
    assert {part["state"] for part in parts} == {"succeeded"}
    stored = stack.call("GET", f"/v1/series/{keys[7]}/forecasts").json()["items"]
    assert [one["job_id"] for one in stored] == [job["id"]]
    listed = stack.call("GET", "/v1/jobs?type=forecast.run&state=succeeded").json()
    assert job["id"] in {one["id"] for one in listed["items"]}
    assert not {one["id"] for one in listed["items"]} & {part["id"] for part in parts}


def test_a_newcomer_goes_next_whatever_another_tenant_holds(stack):
    with stack.database.system() as connection:
        from db import keys

        other = keys.ensure_tenant(connection, name="crowd")
    crowd = {"Authorization": f"Bearer {stack.new_key(other)}"}
    jobs = [{"type": "system.echo", "params": {"duration_s": 0.2}}] * 500
    stack.call("POST", "/v1/jobs/batch", json={"jobs": jobs}, headers=crowd)
    mine = stack.submit("system.echo", {})
    ended = stack.ended(mine["id"])
    assert ended["state"] == "succeeded"
    before = (
        "SELECT count(*) FROM jobs JOIN jobs AS mine ON mine.id = %(mine)s "
        "WHERE jobs.tenant_id = %(crowd)s AND jobs.started_at < mine.started_at"
    )
    with stack.database.system() as connection:
        gone = connection.exec_driver_sql(before, {"mine": mine["id"], "crowd": other})
        # What the workers held when it came; a line of all would have let 500 go first.
        assert gone.scalar_one() < 100
    with stack.database.system() as connection:
        connection.exec_driver_sql(
            f"UPDATE jobs SET state = 'cancelled', finished_at = now() "
            f"WHERE tenant_id = {other} AND state = 'queued'"
        )
        connection.exec_driver_sql(f"DELETE FROM outbox WHERE tenant_id = {other}")


def _at(stack: Stack, job_id: str, what: str) -> float:
    with stack.database.system() as connection:
        return float(
            connection.exec_driver_sql(
                f"SELECT extract(epoch FROM {what}) FROM jobs WHERE id = '{job_id}'"
            ).scalar_one()
        )


def test_at_most_so_many_jobs_of_a_key_run_at_a_time(stack):
    for number in range(4):
        stack.submit(
            "system.echo",
            {"payload": {"n": number}, "duration_s": 0.3},
            labels={"key": "one"},
            concurrency_key="one",
        )

    def left() -> list[dict]:
        found = stack.call("GET", "/v1/jobs?label=key:one").json()["items"]
        return [job for job in found if job["state"] in ("queued", "running")]

    def ended() -> bool:
        running = [job for job in left() if job["state"] == "running"]
        assert len(running) <= 1
        return not left()

    _until(stack, ended)


def test_a_job_no_living_worker_reads_says_so_and_runs_when_one_comes(stack):
    worker = psutil.Process(stack.supervisor.pids()["worker-0"])
    worker.suspend()
    try:
        job = stack.submit("forecast.run", {**_NO_SERIES, "horizon": 4})

        def told() -> bool:
            return _job(stack, job["id"])["queue"]["blocked_by"] == "no_worker"

        _until(stack, told, within_s=8)
    finally:
        worker.resume()
    assert stack.ended(job["id"])["reason"] == "invalid_data"
