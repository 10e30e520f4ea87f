"""The jobs that a split makes."""

from datetime import UTC, datetime
from typing import Any

from db import jobs
from db.jobs import Job
from tasks.catalog import Params, job_types
from tests.db import rows
from tests.tasks.registered import AnyParams
from workers.pieces import children

KIND = job_types()["forecast.run"]


class Aliased(Params):
    """Params whose dates must become JSON."""

    at: datetime


def _job(**changes: Any) -> Job:
    new = rows.new_job(**{"type": "forecast.run", "queue": "forecast", **changes})
    return jobs.as_submitted(new, tenant_id=7, created_at=rows.AT)


def test_each_part_has_its_number_and_its_params_and_the_finish_waits():
    job = _job(params={"all": True})
    planned = [AnyParams(some=[1]), AnyParams(some=[2, 3])]
    parts, finish = children(job, KIND, planned)
    assert [(one.step, one.part, one.params) for one in parts] == [
        ("part", 0, {"some": [1]}),
        ("part", 1, {"some": [2, 3]}),
    ]
    assert (finish.step, finish.part, finish.params) == ("finish", None, job.params)
    assert finish.blocked
    assert not any(one.blocked for one in parts)
    assert len({one.id for one in (*parts, finish)}) == 3


def test_what_decides_about_their_turn_is_the_parents():
    job = _job(
        labels={"a": "b"},
        priority=8,
        timeout_s=9,
        max_attempts=4,
        traceparent="00-1-2-01",
        lane="backfill",
        retry={"delay_s": 3.0},
    )
    parts, finish = children(job, KIND, [AnyParams(), AnyParams()])
    for one in (*parts, finish):
        assert (one.parent_id, one.type, one.queue) == (job.id, job.type, KIND.queue)
        for name in (
            *("labels", "priority", "timeout_s", "max_attempts"),
            *("traceparent", "lane", "retry"),
        ):
            assert getattr(one, name) == getattr(job, name), name


def test_the_key_and_the_deadline_stay_with_the_parent():
    job = _job(deadline=rows.AT, concurrency_key="k", concurrency_limit=1)
    parts, finish = children(job, KIND, [AnyParams(), AnyParams()])
    for one in (*parts, finish):
        assert (one.deadline, one.concurrency_key, one.concurrency_limit) == (
            None,
            None,
            None,
        )


def test_params_are_stored_as_json():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    (part,), _ = children(_job(), KIND, [Aliased(at=at)])
    assert part.params == {"at": "2026-01-01T00:00:00Z"}
