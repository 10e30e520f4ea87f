"""``ingest.reconcile`` as a plain function on a real database, night after night."""

import json
from datetime import timedelta

import orjson
import pytest
from pydantic import ValidationError
from sqlalchemy import text

from db import series, source_series
from db import webhooks as hooks
from db.source_series import Bound
from db.webhooks import NewWebhook
from tasks import firing, submit
from tasks.errors import InvalidData
from tasks.ingest_reconcile import as_table, ingest_reconcile
from tasks.reconcile_params import ReconcileParams
from tests.db import kept, rows
from tests.fakes import FakeContext
from tests.tasks.book import NOON, Book
from tests.tasks.series import HOUR, START, store

pytestmark = pytest.mark.servers

PAIR = {"name": "brent", "series": ["a", "b"]}
NOW = START + timedelta(days=2)


@pytest.fixture
def run(database, tenant_id):
    """Run a night's job: ``run(group, ...)`` gives its result."""

    def night(*groups, now=NOW, **params) -> dict:
        context = FakeContext(
            tenant_id=tenant_id,
            database=database,
            job_id=rows.queued(database, tenant_id, type="ingest.reconcile"),
            now=now,
        )
        asked = ReconcileParams(groups=list(groups) or [PAIR], **params)
        outcome = ingest_reconcile(asked, context)
        with context.read() as connection:
            added = outcome.store(connection)
        rows.claim(database, context.job_id)
        rows.finish(database, context.job_id, result={})
        return json.loads(orjson.dumps({**outcome.result, **added}))

    return night


@pytest.fixture
def put(database, tenant_id):
    """Store hourly values: ``put("a", [1.0], unit="USD")``."""

    def run(key: str, values: list[float], **fields) -> None:
        store(database, tenant_id, key, values, **fields)

    return run


@pytest.fixture
def bind(database, tenant_id):
    """Say which source series come from: ``bind("eia", "a")``."""

    def run(name: str, *keys: str) -> None:
        with database.tenant(tenant_id) as connection:
            made = kept.source(connection, tenant_id, name)
            found = series.find_many(connection, tenant_id=tenant_id, keys=keys)
            source_series.upsert(
                connection,
                tenant_id=tenant_id,
                source_id=made.id,
                found={key: Bound(one.id) for key, one in found.items()},
            )

    return run


def pair_of(told: dict, group: int = 0, other: int = 0) -> dict:
    return told["groups"][group]["pairs"][other]


def test_each_time_is_told_with_both_values_and_their_difference(put, bind, run):
    put("a", [100.0, 100, 100, 0], unit="USD")
    put("b", [100.0, 94, 104, 0, 7], unit="USD")
    bind("eia", "a")
    told = run()
    assert told["groups"][0]["preferred"] == "a"
    assert told["groups"][0]["preferred_source"] == "eia"
    assert (told["groups"][0]["unit"], told["groups"][0]["tolerance"]) == ("USD", 0.05)
    points = pair_of(told)["points"]
    assert {**pair_of(told), "points": len(points)} == {
        "other": "b",
        "source": None,
        "state": "differs",
        "compared": 4,
        "beyond": 1,
        "only_preferred": 0,
        "only_other": 1,
        "incomplete": 0,
        "median_difference": pytest.approx(4 / 104 / 2),
        "max_difference": pytest.approx(0.06),
        "max_at": "2026-01-01T01:00:00Z",
        "warnings": [],
        "points": 5,
    }
    assert points[1] == {
        "ds": "2026-01-01T01:00:00Z",
        "preferred_value": 100.0,
        "other_value": 94.0,
        "difference": pytest.approx(0.06),
        "beyond": True,
        "only": None,
    }
    assert points[4]["only"] == "other"
    assert (points[4]["difference"], points[4]["preferred_value"]) == (None, None)
    names, table = as_table(told)
    assert names[:4] == ["group", "preferred", "other", "ds"]
    assert table[1] == ["brent", "a", "b", *points[1].values()]
    assert len(table) == 5
    short = run(report="beyond")
    assert [one["ds"] for one in pair_of(short)["points"]] == [
        "2026-01-01T01:00:00Z",
        "2026-01-01T04:00:00Z",
    ]
    assert run() == {**told, "opened": []}


@pytest.mark.parametrize(
    ("group", "beyond"),
    [
        ({}, 2),
        ({"kind": "futures"}, 1),
        ({"tolerance": 0.2}, 0),
        ({"tolerance": 0}, 3),
        ({"absolute": 8}, 1),
        ({"preferred": "b"}, 2),
    ],
)
def test_how_far_apart_they_may_be(put, run, group, beyond):
    put("a", [100.0, 100, 100, 100])
    put("b", [100.0, 98, 92, 88])
    assert pair_of(run({**PAIR, **group}))["beyond"] == beyond


def test_the_preferred_one_may_be_named_by_its_source(put, bind, run):
    for key in ("a", "b", "c"):
        put(key, [1.0, 2.0], tags=["oil"])
    bind("ice", "b")
    bind("many", "a", "c")
    told = run(
        {"name": "oil", "series": {"tag": "oil"}, "preferred": "ice"},
        {"name": "first", "series": {"tag": "oil"}},
        {"name": "many", "series": {"tag": "oil"}, "preferred": "many"},
        {"name": "none", "series": {"tag": "coal"}},
        {"name": "gone", "series": ["a", "x"]},
        {"name": "same", "series": ["a", "a"]},
    )
    assert [one["preferred"] for one in told["groups"]] == ["b", "a"]
    assert [one["other"] for one in told["groups"][0]["pairs"]] == ["a", "c"]
    failed = {one["group"]: one["detail"] for one in told["failed"]}
    assert "source of exactly one" in failed["many"]
    assert "two are needed" in failed["none"]
    assert failed["gone"] == "there is no series x"
    assert failed["same"] == "two different series are needed"
    assert (told["pairs"], told["differ"]) == (4, 0)


def test_units_that_differ_are_not_compared(put, run):
    put("a", [1.0, 2.0], unit="USD/bbl")
    put("b", [1.0, 2.0], unit="EUR/bbl")
    put("c", [1.0, 2.0])
    told = run({"name": "brent", "series": ["a", "b", "c"]})
    assert [one["other"] for one in told["groups"][0]["pairs"]] == ["c"]
    assert told["failed"] == [
        {
            "group": "brent",
            "other": "b",
            "detail": "the units differ: 'USD/bbl' and 'EUR/bbl'",
        }
    ]
    with pytest.raises(InvalidData, match="brent: the units differ"):
        run()


def test_the_stretch_is_half_open_and_ends_now(put, run):
    put("a", [1.0] * 72)
    put("b", [1.0] * 72)
    assert pair_of(run())["compared"] == 48
    assert pair_of(run(days=1))["compared"] == 24
    found = run(start=START, end=START + 3 * HOUR)
    assert pair_of(found)["compared"] == 3
    assert pair_of(run(start=NOW + timedelta(days=9), end=NOW + timedelta(days=10)))[
        "warnings"
    ] == ["neither has a value in this stretch"]


def test_what_was_known_then_is_what_is_compared(put, run):
    put("a", [100.0], now=START)
    put("b", [50.0], now=START)
    put("b", [100.0], now=START + HOUR)
    assert pair_of(run())["state"] == "agrees"
    assert pair_of(run(as_of=START + HOUR / 2))["state"] == "differs"


def test_dates_are_told_without_a_zone(put, run):
    put("a", [1.0])
    put("b", [1.0])
    told = run({**PAIR, "align": "date"})
    assert pair_of(told)["points"][0]["ds"] == "2026-01-01"


def test_more_times_than_a_result_may_hold_are_refused(put, run, monkeypatch):
    monkeypatch.setattr("tasks.ingest_reconcile.MOST_POINTS", 2)
    put("a", [1.0, 2.0, 3.0])
    put("b", [1.0, 2.0, 3.0])
    with pytest.raises(InvalidData, match="report beyond"):
        run()
    assert pair_of(run(report="beyond"))["points"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"groups": []},
        {"groups": [PAIR, PAIR]},
        {"groups": [{"name": "x", "series": ["a"]}]},
        {"groups": [{**PAIR, "tolerance": 2.1}]},
        {"groups": [PAIR], "start": START, "end": START},
    ],
)
def test_what_cannot_be_compared_is_refused(params):
    with pytest.raises(ValidationError):
        ReconcileParams(**params)


def test_a_difference_is_told_when_it_begins_and_when_it_is_over(
    database, tenant_id, put, run
):
    url = NewWebhook("whk_1", "https://x.example/", ["difference.opened"], "")
    with database.tenant(tenant_id) as connection:
        hooks.create(connection, tenant_id=tenant_id, new=url, most=1)
    put("a", [100.0, 100])
    put("b", [100.0, 90])
    assert run(tell=False).keys() & {"opened", "closed"} == set()
    told = [run() for _ in range(2)]
    other = run({**PAIR, "name": "another", "tolerance": 1})
    put("b", [100.0, 101])
    told += [run() for _ in range(2)]
    assert [
        (len(one["opened"]), len(one["closed"]), one["open"]) for one in [*told, other]
    ] == [(1, 0, 1), (0, 0, 1), (0, 1, 0), (0, 0, 0), (0, 0, 0)]
    (opened,) = told[0]["opened"]
    assert (opened["group"], opened["preferred"], opened["other"]) == (
        "brent",
        "a",
        "b",
    )
    assert (opened["beyond"], opened["compared"]) == (1, 2)
    assert opened["max_at"] == "2026-01-01T01:00:00Z"
    with database.tenant(tenant_id) as connection:
        kinds = text("SELECT kind FROM job_events WHERE kind LIKE 'diff%' ORDER BY id")
        assert list(connection.scalars(kinds)) == [
            "difference.opened",
            "difference.closed",
        ]
        sent = text("SELECT kind FROM webhook_deliveries")
        assert list(connection.scalars(sent)) == ["difference.opened"]
    put("b", [100.0, 90])
    assert len(run()["opened"]) == 1


def test_what_could_not_be_compared_stays_as_it_was(put, run):
    put("a", [100.0])
    put("b", [90.0])
    assert run()["open"] == 1
    quiet = run(start=NOW, end=NOW + HOUR)
    assert (pair_of(quiet)["state"], quiet["closed"], quiet["open"]) == (
        "not_compared",
        [],
        1,
    )


def test_another_tenant_has_differences_of_its_own(
    database, tenant_id, other_tenant_id, put, run
):
    put("a", [100.0])
    put("b", [90.0])
    run()
    for key, value in (("a", 100.0), ("b", 90.0)):
        store(database, other_tenant_id, key, [value])
    context = FakeContext(
        tenant_id=other_tenant_id,
        database=database,
        job_id=rows.queued(database, other_tenant_id),
        now=NOW,
    )
    outcome = ingest_reconcile(ReconcileParams(groups=[PAIR]), context)
    with context.read() as connection:
        assert len(outcome.store(connection)["opened"]) == 1


def test_a_schedule_submits_it(database, tenant_id):
    book = Book(database, tenant_id)
    job = {"type": "ingest.reconcile", "params": {"groups": [PAIR]}}
    made = book.make(jobs=[job], cron="0 7 * * *")
    at = NOON + timedelta(hours=19)
    (job_id,) = book.do(firing.run_now, schedule_id=made.id, now=at).job_ids
    found = rows.job(database, tenant_id, job_id)
    assert (found.type, found.queue) == ("ingest.reconcile", "analysis")
    assert submit.job_types()["ingest.reconcile"].table is as_table
