"""Jobs that wait for other jobs, as a client asks for it."""

from dataclasses import replace

import pytest

from db.jobs import NewJob
from tasks import submit
from tasks.errors import InvalidParams
from tasks.submission import Submission
from tests.db import rows

pytestmark = pytest.mark.servers

ECHO = Submission("system.echo")


def _one(database, tenant_id, **asked):
    with database.tenant(tenant_id) as connection:
        job, _ = submit.submit(
            connection, tenant_id=tenant_id, submission=replace(ECHO, **asked)
        )
    return job


def _many(database, tenant_id, *asked):
    with database.tenant(tenant_id) as connection:
        return submit.submit_many(
            connection,
            tenant_id=tenant_id,
            submissions=[replace(ECHO, **one) for one in asked],
        )


def _edges(database) -> set[tuple[str, str]]:
    found = rows.value(
        database,
        "SELECT json_agg(json_build_array(job_id, after_id)) FROM job_dependencies",
    )
    return {(one, other) for one, other in found or []}


def _pointers(refused) -> list[str]:
    assert isinstance(refused, InvalidParams)
    return [error.pointer for error in refused.errors]


def test_a_job_waits_for_a_job_that_exists(database, tenant_id):
    first = _one(database, tenant_id)
    last = _one(database, tenant_id, after=[first.id, first.id], on_failure="run")
    assert last.blocked
    assert _edges(database) == {(last.id, first.id)}
    assert rows.value(database, "SELECT on_failure FROM job_dependencies") == "run"


def test_a_job_whose_wait_is_over_already_is_returned_as_it_is(database, tenant_id):
    good, bad = (_one(database, tenant_id) for _ in range(2))
    for job, state in ((good, "succeeded"), (bad, "failed")):
        rows.claim(database, job.id)
        rows.finish(database, job.id, state=state, result={})
    free = _one(database, tenant_id, after=[good.id])
    assert (free.state, free.blocked) == ("queued", False)
    ended = _one(database, tenant_id, after=[bad.id])
    assert (ended.state, ended.reason) == ("cancelled", "dependency_failed")
    for job in (free, ended):
        assert rows.job(database, tenant_id, job.id) == job


def test_a_job_cannot_wait_for_what_does_not_exist_or_is_anothers(
    database, tenant_id, other_tenant_id
):
    theirs = _one(database, other_tenant_id)
    for missing in ("job_0", theirs.id):
        with pytest.raises(InvalidParams, match=f"no job {missing}") as caught:
            _one(database, tenant_id, after=[missing])
        assert _pointers(caught.value) == ["/after"]
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1


def test_in_a_batch_a_job_waits_for_an_item_further_up_and_for_stored_jobs(
    database, tenant_id
):
    stored = _one(database, tenant_id)
    first, second, last = _many(
        database,
        tenant_id,
        {"ref": "load"},
        {"ref": "clean", "after": ["load"]},
        {"after": ["load", "clean", stored.id]},
    )
    assert _edges(database) == {
        (second.id, first.id),
        (last.id, first.id),
        (last.id, second.id),
        (last.id, stored.id),
    }
    blocked = [rows.job(database, tenant_id, one.id).blocked for one in (first, last)]
    assert blocked == [False, True]


def test_a_batch_cannot_wait_in_a_circle(database, tenant_id):
    first, second, alone = _many(
        database,
        tenant_id,
        {"ref": "a", "after": ["b"]},
        {"ref": "b", "after": ["a"]},
        {"ref": "c", "after": ["c"]},
    )
    for refused in (first, second, alone):
        assert _pointers(refused) == ["/after/0"]
    assert rows.value(database, "SELECT count(*) FROM jobs") == 0


def test_what_waits_for_a_refused_item_is_refused_too(database, tenant_id):
    bad, last, good = _many(
        database,
        tenant_id,
        {"ref": "bad", "params": {"unknown": 1}},
        {"after": ["bad"]},
        {},
    )
    assert _pointers(bad) == ["/params/unknown"]
    assert _pointers(last) == ["/after/0"]
    assert isinstance(good, NewJob)
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1


def test_a_ref_names_one_item(database, tenant_id):
    first, again, last = _many(
        database, tenant_id, {"ref": "a"}, {"ref": "a"}, {"after": ["a"]}
    )
    assert _pointers(again) == ["/ref"]
    assert _edges(database) == {(last.id, first.id)}


def test_a_ref_of_one_batch_is_unknown_to_the_next(database, tenant_id):
    _many(database, tenant_id, {"ref": "a"})
    (refused,) = _many(database, tenant_id, {"after": ["a"]})
    assert _pointers(refused) == ["/after/0"]
