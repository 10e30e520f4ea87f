"""Series of two tenants who must not see each other's."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from db import loads, series

pytestmark = pytest.mark.servers

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def connection(database, tenant_id):
    with database.tenant(tenant_id) as connection:
        yield connection


def put(connection, tenant_id, key, *, now=NOW, **fields):
    return series.upsert(
        connection, tenant_id=tenant_id, key=key, fields=fields, now=now
    )


def test_a_new_series_has_its_key_as_title(connection, tenant_id):
    made = put(connection, tenant_id, "load", unit="MW")
    assert (made.title, made.unit, made.timezone, made.tags) == (
        "load",
        "MW",
        "UTC",
        [],
    )
    assert made.created_at == made.updated_at == NOW
    assert series.find(connection, tenant_id=tenant_id, key="load") == made


def test_fields_that_are_not_given_stay(connection, tenant_id):
    made = put(connection, tenant_id, "load", unit="MW", tags=["demo"])
    later = NOW + timedelta(hours=1)
    changed = put(connection, tenant_id, "load", now=later, title="Load")
    assert (changed.id, changed.unit, changed.tags) == (made.id, "MW", ["demo"])
    assert (changed.title, changed.created_at, changed.updated_at) == (
        "Load",
        NOW,
        later,
    )


def test_a_field_that_cannot_be_changed_is_refused(connection, tenant_id):
    with pytest.raises(ValueError, match="no field id"):
        put(connection, tenant_id, "load", id=7)


def test_find_many_returns_those_there_are(connection, tenant_id):
    put(connection, tenant_id, "a")
    found = series.find_many(connection, tenant_id=tenant_id, keys=["a", "b"])
    assert set(found) == {"a"}


def test_ids_creates_what_is_missing_and_uses_up_no_numbers(connection, tenant_id):
    first = series.ids(connection, tenant_id=tenant_id, keys=["b", "a", "b"], now=NOW)
    for _ in range(3):
        again = series.ids(connection, tenant_id=tenant_id, keys=["a", "b"], now=NOW)
    assert again == first
    more = series.ids(connection, tenant_id=tenant_id, keys=["a", "c"], now=NOW)
    assert more["c"] == max(first.values()) + 1


def test_pages_are_by_key_and_filtered_by_tag_and_text(connection, tenant_id):
    for number in range(5):
        tags = ["even"] if number % 2 == 0 else []
        put(connection, tenant_id, f"s{number}", tags=tags, title=f"Load {number}%")
    page = series.page(connection, tenant_id=tenant_id, limit=2)
    assert [item.key for item in page] == ["s0", "s1"]
    rest = series.page(connection, tenant_id=tenant_id, limit=9, after="s1")
    assert [item.key for item in rest] == ["s2", "s3", "s4"]
    tagged = series.page(connection, tenant_id=tenant_id, limit=9, tag="even")
    assert [item.key for item in tagged] == ["s0", "s2", "s4"]
    assert tagged[0].tags == ["even"]
    for q, keys in (("S3", ["s3"]), ("load 4%", ["s4"]), ("a_4", []), ("1%", ["s1"])):
        found = series.page(connection, tenant_id=tenant_id, limit=9, q=q)
        assert [item.key for item in found] == keys
    assert [s.key for s in series.with_tag(connection, tenant_id=tenant_id, tag="even")]


def test_the_extent_is_what_is_stored(connection, tenant_id):
    put(connection, tenant_id, "empty")
    batch = pa.RecordBatch.from_pydict(
        {
            "series_key": ["load"] * 3,
            "ts": pa.array([NOW + timedelta(hours=n) for n in range(3)]),
            "value": [1.0, 2.0, 3.0],
            "row_no": [1, 2, 3],
        }
    )
    staged = loads.stage(connection, [batch])
    loads.merge(connection, staged=staged, tenant_id=tenant_id, run_id="run_1", now=NOW)
    found = series.extent(connection, tenant_id=tenant_id, key="load")
    assert (found.count, found.first, found.last) == (3, NOW, NOW + timedelta(hours=2))
    empty = series.extent(connection, tenant_id=tenant_id, key="empty")
    assert (empty.count, empty.first, empty.last) == (0, None, None)
    assert series.extent(connection, tenant_id=tenant_id, key="none") is None


def test_another_tenant_sees_nothing_and_may_use_the_same_key(
    database, tenant_id, other_tenant_id
):
    with database.tenant(tenant_id) as connection:
        mine = put(connection, tenant_id, "load", tags=["demo"])
    with database.tenant(other_tenant_id) as connection:
        for seen_by in (tenant_id, other_tenant_id):
            assert series.find(connection, tenant_id=seen_by, key="load") is None
            assert series.page(connection, tenant_id=seen_by, limit=9) == []
            assert series.with_tag(connection, tenant_id=seen_by, tag="demo") == []
        theirs = put(connection, other_tenant_id, "load")
    assert theirs.id != mine.id
