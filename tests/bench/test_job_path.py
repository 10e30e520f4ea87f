"""A tiny run of the whole bench on the suite's own servers."""

import json

import pytest

from bench import job_path
from bench.figures import compare
from bench.job_path import Servers, measure
from bench.rounds import Plan
from db import jobs
from tasks import submit
from tasks.submission import Submission
from tests.db.rows import AT

TINY = Plan(rounds=2, burst=12, threads=2, singles=3, batch=20, warm_up=4)


@pytest.mark.servers
@pytest.mark.slow
def test_a_tiny_run_measures_both_sides(
    postgres_server, rabbitmq_server, redis_server, tmp_path
):
    servers = Servers(postgres_server, rabbitmq_server, redis_server)
    rounds = measure(servers, TINY, queue_type="quorum", folder=tmp_path)
    assert [len(rounds[side]) for side in ("forebay", "peer")] == [2, 2]
    for line in compare(rounds["forebay"], rounds["peer"]):
        assert 0 < line.forebay.low <= line.forebay.high
        assert 0 < line.peer.low <= line.peer.high
    for one in rounds["forebay"] + rounds["peer"]:
        # A job is finished after it was submitted, and waited for longer than sent.
        assert one["jobs"] < one["submissions"]
        assert one["submit_p50"] <= one["submit_p95"]
        assert one["result_p50"] <= one["result_p95"]


class _Server:
    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def url(self) -> str:
        return "somewhere"


@pytest.mark.parametrize("form", ["table", "json"])
def test_the_command_prints_what_was_measured(monkeypatch, capsys, form):
    one = dict.fromkeys(("submissions", "jobs", "batch", "submit_p50"), 10.0)
    one |= dict.fromkeys(("submit_p95", "result_p50", "result_p95"), 5.0)
    asked = []

    def measured(_servers, plan, *, queue_type, folder):
        asked.append((plan.burst, queue_type))
        return {"forebay": [one], "peer": [one]}

    for name in ("postgres", "rabbitmq", "redis"):
        monkeypatch.setattr(job_path.choice, name, lambda **_settings: _Server())
    monkeypatch.setattr(job_path.machine, "describe", lambda _url: {"memory": "much"})
    monkeypatch.setattr(job_path, "measure", measured)
    words = ["--burst", "7", "--queue-type", "classic"]
    job_path.main(words if form == "table" else [*words, "--json"])
    said = capsys.readouterr().out
    assert asked == [(7, "classic")]
    if form == "json":
        found = json.loads(said)
        assert found["plan"]["burst"] == 7
        assert found["rounds"]["peer"] == [one]
        assert {line["ratio"]["median"] for line in found["lines"]} == {1.0}
    else:
        assert "memory: much" in said


@pytest.mark.servers
def test_the_answer_to_a_submission_is_the_row_it_made(database, tenant_id):
    wanted = Submission(
        "system.echo",
        {"payload": {"deep": [1, -0.5, None, {"ä": "b"}]}},
        labels={"z": "1", "a": "2"},
        priority=7,
        timeout_s=9,
        deadline=AT,
        traceparent="00-1-2-01",
        retry_of="job_0",
    )
    for submission in (wanted, Submission("system.echo")):
        with database.tenant(tenant_id) as connection:
            job, _replayed = submit.submit(
                connection, tenant_id=tenant_id, submission=submission
            )
            stored = jobs.find(connection, tenant_id=tenant_id, job_id=job.id)
        assert job == stored
