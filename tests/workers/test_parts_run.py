"""A job in parts from its split to its finish, each step run as a worker runs it."""

import json

import pytest

from db import dependencies, jobs, parts
from db.session import Connection
from tasks.catalog import Parts
from tasks.context import Outcome
from tasks.errors import InvalidData
from tests.db import rows
from tests.tasks.registered import AnyParams
from workers.runner import run

pytestmark = pytest.mark.servers


def _split(params, _context):
    return [AnyParams(numbers=[one], fail=params.fail) for one in params.numbers]


def _merge(params, results, context):
    squares = [one["squares"][0] for one in results]
    context.progress(1, 1, "sums", "adding")

    def store(connection: Connection):
        made = rows.new_job(labels={"made": "by the finish"})
        jobs.submit(connection, tenant_id=context.tenant_id, new_jobs=[made])
        return {"of": context.job_id}

    return Outcome({"sum": sum(squares), "squares": squares}, store)


def _handler(params, context):
    """Square numbers."""
    context.progress(0, len(params.numbers), "numbers", "squaring")
    if params.numbers[0] in params.fail:
        raise InvalidData(f"{params.numbers[0]} is bad")
    result = {"squares": [one * one for one in params.numbers]}
    return Outcome({**result, "job_id": context.job_id, "part": context.part})


class World:
    """One job in parts, with what the dispatcher would do in between."""

    def __init__(self, runtime, database, tenant_id, register):
        self.runtime, self.database, self.tenant_id = runtime, database, tenant_id
        how = Parts(_split, _merge)
        self.name = register(_handler, name="test.squares", parts=how)

    def submit(self, *numbers, fail=(), **more):
        params = {"numbers": list(numbers), "fail": list(fail)}
        self.id = rows.queued(
            self.database, self.tenant_id, type=self.name, params=params, **more
        )
        return self.run(self.id)

    def run(self, job_id, attempt=1):
        return run(self.runtime, job_id=job_id, attempt=attempt)

    def settle(self):
        with self.database.system() as connection:
            dependencies.release(connection)
            parts.settle(connection)

    def children(self, step):
        found = rows.value(
            self.database,
            "SELECT array_agg(id ORDER BY part) FROM jobs "
            "WHERE parent_id = :id AND step = :step",
            id=self.id,
            step=step,
        )
        return found or []

    def job(self):
        return rows.job(self.database, self.tenant_id, self.id)

    def result(self, job_id=None):
        with self.database.tenant(self.tenant_id) as connection:
            found = jobs.result(
                connection, tenant_id=self.tenant_id, job_id=job_id or self.id
            )
        return None if found is None else json.loads(found)


@pytest.fixture
def world(runtime, database, tenant_id, register) -> World:
    """A job type that squares each number in a part of its own."""
    return World(runtime, database, tenant_id, register)


def test_a_job_is_split_run_in_parts_and_finished(world):
    assert world.submit(1, 2, 3) == "parts"
    pieces, (finish,) = world.children("part"), world.children("finish")
    assert len(pieces) == 3
    for number, part in enumerate(reversed(pieces), start=1):
        assert world.run(part) == "succeeded"
        world.settle()
        assert world.job().progress["done"] == number
    assert world.run(finish) == "succeeded"
    assert world.job().state == "succeeded"
    assert world.result() == {"sum": 14, "squares": [1, 4, 9], "of": world.id}
    kinds = rows.history(world.database, world.tenant_id, world.id)
    assert kinds == ["queued", "running", *["progress"] * 4, "succeeded"]


def test_a_part_works_for_its_parent_and_knows_its_number(world):
    world.submit(1, 2)
    for number, part in enumerate(world.children("part")):
        world.run(part)
        result = world.result(part)
        assert (result["job_id"], result["part"]) == (world.id, number)


def test_a_job_of_one_part_runs_whole(world):
    assert world.submit(3) == "succeeded"
    assert world.children("part") == []
    assert world.result() == {"squares": [9], "job_id": world.id, "part": None}


def test_the_finish_runs_once_however_often_its_message_comes(world):
    world.submit(1, 2)
    (finish,) = world.children("finish")
    for part in world.children("part"):
        assert [world.run(part), world.run(part)] == ["succeeded", "refused"]
    world.settle()
    assert [world.run(finish), world.run(finish)] == ["succeeded", "refused"]
    made = "SELECT count(*) FROM jobs WHERE labels ->> 'made' = 'by the finish'"
    assert rows.value(world.database, made) == 1
    assert world.result(finish) == {}


def test_a_finish_whose_worker_died_is_run_again(world):
    world.submit(1, 2)
    (finish,) = world.children("finish")
    for part in world.children("part"):
        world.run(part)
    world.settle()
    rows.claim(world.database, finish)
    rows.give_back(world.database, finish)
    assert world.run(finish, attempt=2) == "succeeded"
    assert world.result()["sum"] == 5


def test_a_part_that_fails_fails_the_job_with_its_words(world):
    world.submit(1, 2, 3, fail=[2])
    first, second, _ = world.children("part")
    assert world.run(first) == "succeeded"
    assert world.run(second) == "failed"
    world.settle()
    job = world.job()
    assert (job.state, job.reason) == ("failed", "invalid_data")
    assert job.error["detail"] == "2 is bad"
    assert world.result() is None


def test_a_finish_that_was_overtaken_by_a_cancel_stores_nothing(world, monkeypatch):
    world.submit(1, 2)
    (finish,) = world.children("finish")
    for part in world.children("part"):
        world.run(part)
    world.settle()
    close = parts.close

    def late(connection, **given):
        rows.change(
            world.database,
            "UPDATE jobs SET state = 'cancelled' WHERE id = :i",
            i=world.id,
        )
        close(connection, **given)

    monkeypatch.setattr(parts, "close", late)
    assert world.run(finish) == "fenced"
    assert world.result() is None
    made = "SELECT count(*) FROM jobs WHERE labels ->> 'made' = 'by the finish'"
    assert rows.value(world.database, made) == 0


def test_a_split_that_fails_ends_the_job(runtime, database, tenant_id, register):
    def split(_params, _context):
        raise InvalidData("nothing to split")

    name = register(_handler, name="test.unsplittable", parts=Parts(split, _merge))
    job_id = rows.queued(database, tenant_id, type=name, params={})
    assert run(runtime, job_id=job_id, attempt=1) == "failed"
    job = rows.job(database, tenant_id, job_id)
    assert (job.step, job.error["detail"]) == (None, "nothing to split")
