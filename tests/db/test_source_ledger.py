"""Windows, runs, raw answers and quarantine of a source."""

from dataclasses import replace
from datetime import timedelta

import pytest

from db import quarantine, raw_fetches, source_ledger
from db.quarantine import Load, Refused, Wanted
from tests.db import kept
from tests.db.rows import AT

pytestmark = pytest.mark.servers

BAD = Refused(row_no=7, code="bad_value", detail="not a number", row="pjm,x")


@pytest.fixture
def owner(database, tenant_id):
    with database.tenant(tenant_id) as connection:
        return kept.source(connection, tenant_id)


@pytest.fixture
def record(database, tenant_id, owner):
    def run(*windows) -> None:
        with database.tenant(tenant_id) as connection:
            for window in windows:
                source_ledger.record(
                    connection, tenant_id=tenant_id, source_id=owner.id, window=window
                )

    return run


@pytest.fixture
def add(database, tenant_id, owner):
    """Hold bad rows, a day later each ``day``."""

    def run(*refused, partition_id="p1", day=0) -> int:
        load = Load(source_id=owner.id, partition_id=partition_id, run_id=f"run_{day}")
        with database.tenant(tenant_id) as connection:
            return quarantine.add(
                connection,
                tenant_id=tenant_id,
                load=load,
                refused=refused,
                now=AT + timedelta(days=day),
            )

    return run


@pytest.fixture
def held(database, tenant_id, owner):
    """List the quarantine, newest first."""

    def run(*, before=None, limit=200, **wanted):
        with database.tenant(tenant_id) as connection:
            return quarantine.page(
                connection,
                tenant_id=tenant_id,
                source_id=owner.id,
                wanted=Wanted(**wanted),
                before=before,
                limit=limit,
            )

    return run


@pytest.fixture
def mark(database, tenant_id, owner):
    def run(state, **wanted) -> int:
        with database.tenant(tenant_id) as connection:
            return quarantine.mark(
                connection,
                tenant_id=tenant_id,
                source_id=owner.id,
                state=state,
                **wanted,
            )

    return run


def test_a_window_tells_what_became_of_it_last(
    database, tenant_id, other_tenant_id, owner, record
):
    failed = kept.window(state="failed", reason="transient", detail="503")
    done = kept.window(finished_at=AT + timedelta(days=1), run_id="run_2")
    record(failed, done, kept.window("p2"))
    for tenant, wanted in ((tenant_id, {"p1": done}), (other_tenant_id, {})):
        with database.tenant(tenant) as connection:
            named = {"tenant_id": tenant, "source_id": owner.id}
            assert wanted == source_ledger.found(
                connection, **named, partition_ids=["p1", "never"]
            )
            counted = source_ledger.counts(connection, **named)
        assert counted == ({"done": 2} if wanted else {})


def test_windows_come_in_pages_the_latest_stretch_first(
    database, tenant_id, owner, record
):
    stretches = [kept.window("open", start_at=None, state="empty")]
    stretches += [
        kept.window(f"{group}{day}", start_at=AT + timedelta(days=day))
        for day in range(3)
        for group in "ab"
    ]
    record(*stretches)
    seen, before = [], None
    named = {"tenant_id": tenant_id, "source_id": owner.id}
    with database.tenant(tenant_id) as connection:
        while page := source_ledger.page(connection, **named, before=before, limit=2):
            seen += page
            before = page[-1].partition_id
        empty = source_ledger.page(connection, **named, state="empty")
    assert seen == stretches[::-1]
    assert empty == stretches[:1]


def test_runs_are_listed_newest_first(database, tenant_id, owner):
    with database.tenant(tenant_id) as connection:
        ids = [kept.run(connection, owner, f"p{number}") for number in range(3)]
        named = {"tenant_id": tenant_id, "source_id": owner.id}
        first = source_ledger.runs(connection, **named, limit=2)
        rest = source_ledger.runs(connection, **named, before=first[-1].id)
    assert [one.id for one in first + rest] == ids[::-1]
    assert (first[0].partition_id, first[0].state) == ("p2", "partial")
    assert (first[0].counts, first[0].detail) == ({"written": 3}, {"failed": 1})


def test_the_last_answer_to_a_request_is_found_again(
    database, tenant_id, other_tenant_id, owner
):
    with database.tenant(tenant_id) as connection:
        named = {"tenant_id": tenant_id}
        first, second, third = (
            raw_fetches.insert(connection, **named, new=kept.fetch(owner, **changes))
            for changes in (
                {"status": 503, "verdict": "transient"},
                {},
                {"job_id": "job_2", "partition_id": "p2"},
            )
        )
        asked = {"job_id": "job_1", "partition_id": "p1"}
        found = raw_fetches.find(connection, **named, **asked, fingerprint="f1")
        assert (found.id, found.status, found.bytes) == (second, 200, 3_000_000_000)
        assert found.request["params"] == [["a", "1"]]
        assert not raw_fetches.find(connection, **named, **asked, fingerprint="f2")
        of_job = raw_fetches.of_job(connection, **named, **asked)
        assert [one.id for one in of_job] == [first, second]
        of_source = {**named, "source_id": owner.id}
        assert raw_fetches.partitions(connection, **of_source) == ["p1", "p2"]
        for partition, job in (("p1", "job_1"), ("p2", "job_2"), ("p3", None)):
            latest = raw_fetches.latest_job(
                connection, **of_source, partition_id=partition
            )
            assert latest == job
    assert first < second < third
    with database.tenant(other_tenant_id) as connection:
        named = {"tenant_id": other_tenant_id, "source_id": owner.id}
        assert raw_fetches.partitions(connection, **named) == []


def test_the_same_bad_row_of_every_night_is_one_row_that_counts(add, held):
    again = replace(BAD, row_no=9, raw_sha256="11")
    assert add(BAD, BAD) == 1
    assert add(again, day=1, partition_id="p2") == 1
    (found,) = held()
    assert (found.seen, found.state) == (2, "held")
    assert (found.first_seen, found.last_seen) == (AT, AT + timedelta(days=1))
    assert (found.row_no, found.raw_sha256) == (9, "11")
    assert (found.partition_id, found.run_id) == ("p2", "run_1")
    assert add() == 0


def test_rows_differ_by_code_detail_and_text(add, held):
    unlike = [
        BAD,
        replace(BAD, code="bad_time"),
        replace(BAD, detail="too large"),
        replace(BAD, row="pjm,y"),
    ]
    assert add(*unlike) == 4
    assert len(held()) == 4
    assert len(held(before=held()[1].id)) == 2
    assert len(held(limit=3)) == 3


def test_replayed_rows_are_held_again_and_discarded_ones_are_not(add, held, mark):
    add(BAD, replace(BAD, row="pjm,y"))
    first, second = held()
    assert mark("discarded", ids=[first.id]) == 1
    assert mark("replayed") == 1
    assert mark("replayed") == 0
    add(BAD, replace(BAD, row="pjm,y"), day=1)
    states = {one.id: one.state for one in held()}
    assert states == {first.id: "discarded", second.id: "held"}
    assert [one.id for one in held(state="held")] == [second.id]


def test_marking_keeps_to_the_partition(database, tenant_id, owner, add, held, mark):
    add(BAD)
    add(replace(BAD, code="bad_time"), partition_id="p2")
    named = {"tenant_id": tenant_id, "source_id": owner.id}
    with database.tenant(tenant_id) as connection:
        counted = quarantine.held_counts(connection, **named)
        places = quarantine.held_partitions(connection, **named)
    assert (counted, places) == ({"bad_time": 1, "bad_value": 1}, ["p1", "p2"])
    assert mark("replayed", partition_id="p2") == 1
    assert [one.partition_id for one in held(state="held")] == ["p1"]
    assert [one.code for one in held(partition_id="p2")] == ["bad_time"]
