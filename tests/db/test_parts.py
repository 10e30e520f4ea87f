"""Jobs in parts: a parent, its parts, and a finish that runs once."""

import pytest
from sqlalchemy import text

from db import attempts, dependencies, jobs, parts
from db.errors import Fenced
from tests.db import rows

pytestmark = pytest.mark.servers


class Whole:
    """A running job that was split into parts."""

    def __init__(self, database, tenant_id, count=3, **parent):
        self.database, self.tenant_id = database, tenant_id
        self.id = rows.queued(database, tenant_id, **parent)
        self.claimed = rows.claim(database, self.id)
        rows.change(database, "DELETE FROM outbox")
        made = [self._child(step="part", part=number) for number in range(count)]
        finish = self._child(step="finish", blocked=True)
        self.parts, self.finish = [one.id for one in made], finish.id
        with database.tenant(tenant_id) as connection:
            parts.split(connection, job=self.claimed, parts=made, finish=finish)

    def _child(self, **more):
        return rows.new_job(parent_id=self.id, **more)

    def job(self, job_id=None):
        return rows.job(self.database, self.tenant_id, job_id or self.id)

    def states(self):
        return [self.job(one).state for one in (*self.parts, self.finish)]

    def end(self, job_id, state="succeeded", **end):
        assert rows.claim(self.database, job_id) is not None
        rows.finish(
            self.database, job_id, state=state, **{"result": {"of": job_id}, **end}
        )

    def settle(self, ended=None):
        """What the dispatcher does about the end of a job, or in its sweep."""
        with self.database.system() as connection:
            jobs_ended = None if ended is None else [ended]
            dependencies.release(connection, after_ids=jobs_ended)
            parts.settle(connection, children=jobs_ended)

    def close(self, result='{"whole": true}'):
        """What a worker does at the end of the finish."""
        with self.database.tenant(self.tenant_id) as connection:
            parts.close(connection, parent_id=self.id, result=result)
            attempts.finish(
                connection,
                job_id=self.finish,
                attempt=1,
                end=attempts.End("succeeded", result={}),
            )

    def cancel(self):
        with self.database.tenant(self.tenant_id) as connection:
            jobs.cancel(connection, tenant_id=self.tenant_id, job_id=self.id)


@pytest.fixture
def whole(database, tenant_id) -> Whole:
    """A job in three parts that wait."""
    return Whole(database, tenant_id)


def _messages(database) -> list[str]:
    return (
        rows.value(database, "SELECT array_agg(job_id ORDER BY id) FROM outbox") or []
    )


def test_a_split_queues_the_parts_and_the_parent_waits_without_a_lease(whole):
    job = whole.job()
    assert (job.state, job.step, job.lease_until, job.worker) == (
        "running",
        "parts",
        None,
        None,
    )
    assert job.progress == {
        "done": 0,
        "total": 3,
        "unit": "parts",
        "message": "parts are waiting",
    }
    assert whole.states() == ["queued"] * 4
    assert _messages(whole.database) == whole.parts
    assert [whole.job(one).part for one in whole.parts] == [0, 1, 2]
    finish = whole.job(whole.finish)
    assert (finish.step, finish.blocked, finish.parent_id) == ("finish", True, whole.id)
    with whole.database.system() as connection:
        assert parts.waiting(connection)
        waits_for = dependencies.after(connection, job_id=whole.finish)
    assert waits_for == sorted(whole.parts)


def test_nothing_waits_where_no_job_is_blocked_or_in_parts(database, tenant_id):
    rows.running(database, tenant_id)
    with database.system() as connection:
        assert not parts.waiting(connection)


def test_a_split_by_an_attempt_that_was_overtaken_leaves_nothing(database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    claimed = rows.claim(database, job_id)
    rows.give_back(database, job_id)
    made = [rows.new_job(parent_id=job_id, step="part", part=0)]
    finish = rows.new_job(parent_id=job_id, step="finish", blocked=True)
    with pytest.raises(Fenced), database.tenant(tenant_id) as connection:
        parts.split(connection, job=claimed, parts=made, finish=finish)
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1


def test_a_job_is_split_once(whole):
    with pytest.raises(Fenced), whole.database.tenant(whole.tenant_id) as connection:
        parts.split(
            connection,
            job=whole.claimed,
            parts=[rows.new_job()],
            finish=rows.new_job(),
        )


def test_after_the_split_the_parents_attempt_has_no_say(whole):
    before = whole.job()
    assert rows.give_back(whole.database, whole.id) is None
    for state in ("succeeded", "failed"):
        with pytest.raises(Fenced):
            rows.finish(whole.database, whole.id, state=state, result={})
    with pytest.raises(Fenced), whole.database.system() as connection:
        attempts.heartbeat(connection, job_id=whole.id, attempt=1, lease_s=9)
    assert whole.job() == before


def test_progress_grows_with_the_parts_and_is_told_once_for_each(whole):
    told = []
    for one in whole.parts:
        whole.end(one)
        for _ in range(2):
            whole.settle(one)
        told.append(whole.job().progress["done"])
    assert told == [1, 2, 3]
    assert whole.job().progress["message"] == "finishing"
    history = rows.history(whole.database, whole.tenant_id, whole.id)
    assert history == ["queued", "running", *["progress"] * 4]


def test_the_finish_starts_when_all_parts_have_succeeded(whole):
    for one in whole.parts[:2]:
        whole.end(one)
        whole.settle(one)
    assert whole.job(whole.finish).blocked
    whole.end(whole.parts[2])
    whole.settle(whole.parts[2])
    assert not whole.job(whole.finish).blocked
    assert _messages(whole.database)[-1] == whole.finish


def test_the_results_come_in_the_order_of_the_parts(whole):
    for one in reversed(whole.parts):
        whole.end(one)
    with whole.database.tenant(whole.tenant_id) as connection:
        found = list(parts.results(connection, parent_id=whole.id))
        assert connection.get_execution_options().get("yield_per") is None
    assert found == [{"of": one} for one in whole.parts]


def test_the_finish_ends_the_parent_with_its_result(whole):
    for one in whole.parts:
        whole.end(one)
    whole.settle()
    rows.claim(whole.database, whole.finish)
    whole.close()
    job = whole.job()
    assert (job.state, job.step) == ("succeeded", "parts")
    assert job.progress == {"done": 3, "total": 3, "unit": "parts", "message": "done"}
    assert whole.states() == ["succeeded"] * 4
    with whole.database.tenant(whole.tenant_id) as connection:
        found = jobs.result(connection, tenant_id=whole.tenant_id, job_id=whole.id)
        assert found == '{"whole": true}'
        assert not parts.waiting(connection)
    kinds = rows.history(whole.database, whole.tenant_id, whole.id)
    assert kinds[-1] == "succeeded"
    before = whole.job()
    whole.settle()
    assert whole.job() == before


def test_the_finish_ends_the_parent_once(whole):
    for one in whole.parts:
        whole.end(one)
    whole.settle()
    rows.claim(whole.database, whole.finish)
    whole.close()
    with pytest.raises(Fenced):
        whole.close('{"whole": false}')
    with whole.database.tenant(whole.tenant_id) as connection:
        found = jobs.result(connection, tenant_id=whole.tenant_id, job_id=whole.id)
    assert found == '{"whole": true}'


def test_a_part_that_fails_ends_the_rest_and_the_parent_with_its_reason(whole):
    rows.claim(whole.database, whole.parts[1])
    error = {"title": "Invalid data"}
    whole.end(whole.parts[0], "failed", reason="invalid_data", error=error)
    whole.settle(whole.parts[0])
    assert whole.states() == ["failed", "running", "cancelled", "failed"]
    assert whole.job(whole.parts[1]).cancel_requested_at is not None
    assert whole.job().state == "running"
    rows.finish(whole.database, whole.parts[1], state="cancelled")
    whole.settle(whole.parts[1])
    job = whole.job()
    assert (job.state, job.reason, job.error) == ("failed", "invalid_data", error)
    assert job.finished_at is not None
    assert _messages(whole.database) == whole.parts[:2]  # of what was claimed


def test_a_part_that_is_retried_holds_nothing_up(whole):
    rows.claim(whole.database, whole.parts[0])
    assert rows.give_back(whole.database, whole.parts[0]) == "queued"
    whole.settle()
    assert whole.states() == ["queued"] * 4
    assert whole.job().state == "running"


def test_a_finish_that_fails_fails_the_parent(whole):
    for one in whole.parts:
        whole.end(one)
    whole.settle()
    whole.end(whole.finish, "failed", reason="internal_error", error={"title": "x"})
    whole.settle(whole.finish)
    job = whole.job()
    assert (job.state, job.reason) == ("failed", "internal_error")
    assert job.error == {"title": "x"}


def test_a_part_that_was_cancelled_fails_the_parent_with_a_problem(whole):
    with whole.database.tenant(whole.tenant_id) as connection:
        jobs.cancel(connection, tenant_id=whole.tenant_id, job_id=whole.parts[0])
    whole.settle()
    job = whole.job()
    assert (job.state, job.reason) == ("failed", "part_failed")
    assert job.error["type"] == "/problems/part-failed"


def test_cancelling_the_parent_cancels_its_parts_and_then_itself(whole):
    rows.claim(whole.database, whole.parts[0])
    whole.cancel()
    whole.settle(whole.id)
    assert whole.states() == ["running", "cancelled", "cancelled", "cancelled"]
    assert whole.job().state == "running"
    rows.finish(whole.database, whole.parts[0], state="cancelled")
    whole.settle(whole.parts[0])
    job = whole.job()
    assert (job.state, job.reason, job.error) == (
        "cancelled",
        "cancelled_by_user",
        None,
    )


def test_a_finish_that_comes_after_the_cancel_is_fenced_and_stores_nothing(whole):
    for one in whole.parts:
        whole.end(one)
    whole.settle()
    rows.claim(whole.database, whole.finish)
    whole.cancel()
    whole.settle(whole.id)
    rows.give_back(whole.database, whole.finish)
    whole.settle(whole.finish)
    assert whole.job().state == "cancelled"
    before = whole.job()
    with pytest.raises(Fenced):
        whole.close()
    assert whole.job() == before
    with whole.database.tenant(whole.tenant_id) as connection:
        found = jobs.result(connection, tenant_id=whole.tenant_id, job_id=whole.id)
    assert found is None


def test_settling_does_not_wait_for_a_parent_that_is_being_closed(whole):
    for one in whole.parts:
        whole.end(one)
    with whole.database.tenant(whole.tenant_id) as closing:
        parts.close(closing, parent_id=whole.id, result="{}")
        whole.settle()
    assert whole.job().progress["message"] == "done"


def test_settling_one_parent_leaves_the_others_alone(whole):
    other = Whole(whole.database, whole.tenant_id)
    for one in (whole, other):
        one.end(one.parts[0])
    with whole.database.system() as connection:
        parts.settle(connection, children=[whole.parts[0]])
    assert whole.job().progress["done"] == 1
    assert other.job().progress["done"] == 0


def test_the_reaper_finds_no_lease_of_a_parent_in_parts(whole):
    expired = (
        "SELECT count(*) FROM jobs WHERE state = 'running' AND lease_until < now()"
    )
    assert rows.value(whole.database, expired) == 0


def test_a_parent_is_cancelled_while_a_part_stores_rows_that_name_it(
    whole, database, tenant_id
):
    assert rows.claim(database, whole.parts[0]) is not None
    series_id = rows.series(database, tenant_id)
    whole.cancel()
    with database.tenant(tenant_id) as storing:
        storing.execute(
            text(
                "INSERT INTO analyses (id, tenant_id, job_id, series_id, mode, "
                "start_at, end_at, created_at) VALUES ('an_1', :tenant, :job, "
                ":series, 'batch', now(), now(), now())"
            ),
            {"tenant": tenant_id, "job": whole.id, "series": series_id},
        )
        whole.settle()
        assert whole.states()[1:] == ["cancelled"] * 3


def test_a_part_that_is_held_elsewhere_does_not_hold_up_the_settling(whole, database):
    whole.cancel()
    with database.system() as holding:
        holding.execute(
            text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"),
            {"id": whole.parts[0]},
        )
        whole.settle()
        assert whole.job(whole.parts[1]).state == "cancelled"
    whole.settle()
    assert whole.job().state == "cancelled"


def test_parts_are_not_told_to_webhooks_and_the_whole_job_is(whole, database):
    rows.change(
        database,
        "INSERT INTO webhooks (id, tenant_id, url, events, description, enabled, "
        "generation, created_at, updated_at) VALUES ('whk_1', :tenant, 'https://x', "
        "'{succeeded}', '', true, 1, now(), now())",
        tenant=whole.tenant_id,
    )
    for one in whole.parts:
        whole.end(one)
    whole.settle()
    rows.claim(database, whole.finish)
    whole.close()
    told = rows.value(database, "SELECT array_agg(job_id) FROM webhook_deliveries")
    assert told == [whole.id]
