"""Sources as rows, their series and breaker."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from db import raw_fetches, series, source_series, sources
from db.source_series import Bound
from db.sources import Setup, Source
from tests.db import kept
from tests.db.hooks import waits_for_a_lock
from tests.db.patience import until
from tests.db.rows import AT

pytestmark = pytest.mark.servers


@pytest.fixture
def made(database, tenant_id) -> Source:
    """A source."""
    with database.tenant(tenant_id) as connection:
        return kept.source(connection, tenant_id)


@pytest.fixture
def bind(database, tenant_id, made):
    """Bind keys of the source to series of the tenant: ``bind({"a": "MW"})``."""

    def run(units: dict[str, str | None]) -> dict[str, int]:
        with database.tenant(tenant_id) as connection:
            keys = [f"grid.{key}" for key in units]
            ids = series.ids(connection, tenant_id=tenant_id, keys=keys, now=AT)
            found = {
                key: Bound(ids[f"grid.{key}"], unit) for key, unit in units.items()
            }
            source_series.upsert(
                connection, tenant_id=tenant_id, source_id=made.id, found=found
            )
        return ids

    return run


@pytest.fixture
def advance(database, tenant_id, made):
    def run(marks, *, now=AT) -> dict:
        named = {"tenant_id": tenant_id, "source_id": made.id}
        with database.tenant(tenant_id) as connection:
            source_series.advance(connection, **named, marks=marks, now=now)
            return source_series.watermarks(connection, **named)

    return run


@pytest.fixture
def fail(database, tenant_id, made):
    """Note a failure some seconds later; tell for how long the breaker is open."""

    def run(at_s: float) -> float | None:
        now = AT + timedelta(seconds=at_s)
        with database.tenant(tenant_id) as connection:
            found = sources.note_failure(
                connection, tenant_id=tenant_id, source_id=made.id, now=now
            )
        return None if found is None else (found - now).total_seconds()

    return run


def test_a_source_is_found_by_id_and_by_name_and_by_its_tenant_alone(
    database, tenant_id, other_tenant_id, made
):
    for tenant, found in ((tenant_id, made), (other_tenant_id, None)):
        with database.tenant(tenant) as connection:
            named = {"tenant_id": tenant, "name": made.name}
            assert sources.find_by_name(connection, **named) == found
            assert sources.hold(connection, **named) == found
            assert found == sources.find(
                connection, tenant_id=tenant, source_id=made.id
            )
            listed = sources.page(connection, tenant_id=tenant, after=None, limit=9)
            assert listed == ([found] if found else [])


def test_a_name_is_given_once_in_a_tenant(database, tenant_id, other_tenant_id, made):
    setup = Setup(name=made.name, connector="x", config={}, options={})
    for tenant, wanted in ((tenant_id, False), (other_tenant_id, True)):
        with database.tenant(tenant) as connection:
            second = sources.create(connection, tenant_id=tenant, setup=setup, now=AT)
        assert (second is not None) == wanted


def test_what_is_stored_comes_back(database, tenant_id, made):
    later = AT + timedelta(hours=1)
    changed = replace(
        made,
        config={"routes": ["a"]},
        credential="eia",
        options={"mapping": {"prefix": "x."}},
        schedule_id="sch_1",
        enabled=False,
        updated_at=later,
    )
    with database.tenant(tenant_id) as connection:
        sources.store(connection, source=changed, now=later)
        found = sources.find(connection, tenant_id=tenant_id, source_id=made.id)
    assert found == changed


def test_the_breaker_opens_with_the_fifth_failure_and_for_longer_each_time(fail):
    assert [fail(second) for second in range(5)] == [None] * 4 + [300]
    assert fail(10) == 294  # it was on its way, and does not count
    at_s = 4.0
    for wanted in (600, 1_200, 2_400, 3_600, 3_600):
        at_s += 3_600
        assert fail(at_s) == wanted


def test_a_success_closes_the_breaker_and_counting_begins_again(
    database, tenant_id, made, fail
):
    for second in range(5):
        fail(second)
    with database.tenant(tenant_id) as connection:
        named = {"tenant_id": tenant_id, "source_id": made.id}
        opened = sources.find(connection, **named)
        sources.note_success(connection, **named)
        closed = sources.find(connection, **named)
    assert sources.is_open(opened, now=AT + timedelta(seconds=303))
    assert not sources.is_open(opened, now=AT + timedelta(seconds=304))
    assert not sources.is_open(closed, now=AT)
    assert closed == replace(made, updated_at=closed.updated_at)
    assert [fail(second) for second in range(5)] == [None] * 4 + [300]


def test_watermarks_go_forward_only(bind, advance):
    bind({"a": "MW", "b": None})
    hour = timedelta(hours=1)
    assert advance({"a": AT}) == {"a": AT, "b": None}
    assert advance({"a": AT - hour, "b": AT}) == {"a": AT, "b": AT}
    assert advance({"a": AT + hour, "gone": AT}) == {"a": AT + hour, "b": AT}
    assert advance({}) == {"a": AT + hour, "b": AT}


def test_binding_again_keeps_the_watermark_and_the_known_unit(
    database, tenant_id, made, bind, advance
):
    ids = bind({"a": "MW", "b": "MW"})
    advance({"a": AT})
    bind({"a": None, "b": "GW"})
    with database.tenant(tenant_id) as connection:
        named = {"tenant_id": tenant_id, "source_id": made.id}
        shown = source_series.page(connection, **named)
        rest = source_series.page(connection, **named, after="a", limit=1)
        stale = source_series.page(connection, **named, freshness="stale")
        counted = source_series.freshness_counts(connection, **named)
    assert [(one.local_key, one.key, one.unit) for one in shown] == [
        ("a", "grid.a", "MW"),
        ("b", "grid.b", "GW"),
    ]
    assert shown[0].series_id == ids["grid.a"]
    assert (shown[0].watermark, shown[0].loaded_at) == (AT, AT)
    assert (rest, stale, counted) == (shown[1:], [], {"unknown": 2})


def test_two_loads_in_opposite_order_do_not_block_each_other(
    database, tenant_id, made, bind
):
    keys = [f"k{number:03}" for number in range(50)]
    bind(dict.fromkeys(keys, "MW"))
    named = {"tenant_id": tenant_id, "source_id": made.id}

    def load(order: list[str], hours: int) -> None:
        for step in range(10):
            mark = AT + timedelta(hours=hours + 2 * step)
            with database.tenant(tenant_id) as connection:
                source_series.advance(
                    connection, **named, marks=dict.fromkeys(order, mark), now=mark
                )

    other = threading.Thread(target=load, args=(keys[::-1], 1))
    other.start()
    load(keys, 0)
    other.join()
    with database.tenant(tenant_id) as connection:
        found = source_series.watermarks(connection, **named)
    assert found == dict.fromkeys(keys, AT + timedelta(hours=19))


def test_deleting_takes_along_what_was_read_but_not_the_series_or_the_runs(
    database, tenant_id, made, bind
):
    bind({"a": "MW"})
    with database.tenant(tenant_id) as connection:
        kept.all_of_it(connection, made)
        held = sources.hold(connection, tenant_id=tenant_id, name=made.name)
        sources.delete(connection, source=held)
    with database.system() as connection:
        for table in (*kept.LEDGER, "sources"):
            assert not connection.scalar(text(f"SELECT count(*) FROM {table}")), table
        assert connection.scalar(text("SELECT count(*) FROM series")) == 1
        runs = connection.execute(text("SELECT source, source_id FROM ingest_runs"))
        assert [tuple(row) for row in runs] == [(made.name, None)]


def test_deleting_waits_for_a_part_that_is_storing_what_it_read(
    database, tenant_id, made
):
    def delete() -> None:
        with database.tenant(tenant_id) as connection:
            held = sources.hold(connection, tenant_id=tenant_id, name=made.name)
            sources.delete(connection, source=held)

    other = threading.Thread(target=delete)
    with database.tenant(tenant_id) as connection:
        raw_fetches.insert(connection, tenant_id=tenant_id, new=kept.fetch(made))
        other.start()
        until(lambda: waits_for_a_lock(database))
    other.join()
    with database.system() as connection:
        assert not connection.scalar(text("SELECT count(*) FROM sources"))
