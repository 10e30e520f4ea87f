"""Loading and reading observations against a model of what was known when."""

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from db import copy_binary, issues, loads, observations, series

pytestmark = pytest.mark.servers

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def batch(rows, *, first: int = 1) -> pa.RecordBatch:
    """Return rows of (key, hour, value) as a batch."""
    keys, hours, values = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.RecordBatch.from_arrays(
        [
            pa.array(keys, pa.string()),
            pa.array([NOW + hour * HOUR for hour in hours], pa.timestamp("us", "UTC")),
            pa.array(values, pa.float64()),
            pa.array(range(first, first + len(rows)), pa.int64()),
        ],
        names=["series_key", "ts", "value", "row_no"],
    )


def load(database, tenant_id, rows, *, now=NOW, run="run_1"):
    with database.tenant(tenant_id) as connection:
        staged = loads.stage(connection, [batch(rows)])
        return loads.merge(
            connection, staged=staged, tenant_id=tenant_id, run_id=run, now=now
        )


def known(database, tenant_id, key, **window) -> dict[int, float]:
    """Return {hour: value}, read in both ways."""
    with database.tenant(tenant_id) as connection:
        found = series.find(connection, tenant_id=tenant_id, key=key)
        if found is None:
            return {}
        times, values = observations.read(connection, series_id=found.id, **window)
        chunks = list(
            observations.stream(connection, series_id=found.id, chunk_rows=2, **window)
        )
    assert times.dtype == "M8[us]"
    assert np.all(np.diff(times) > np.timedelta64(0, "us"))
    assert all(chunk.num_rows <= 2 for chunk in chunks)
    streamed = [pair for chunk in chunks for pair in zip(*chunk.columns, strict=True)]
    assert [value.as_py() for _, value in streamed] == values.tolist()
    assert [ts.as_py().replace(tzinfo=None) for ts, _ in streamed] == times.tolist()
    start = np.datetime64(NOW.replace(tzinfo=None), "us")
    hours = ((times - start) // np.timedelta64(1, "h")).tolist()
    return dict(zip(hours, values.tolist(), strict=True))


def effect(loaded) -> tuple[int, ...]:
    return (
        loaded.written,
        loaded.revised,
        loaded.unchanged,
        loaded.duplicates,
        loaded.conflicting,
    )


def test_a_load_writes_and_the_same_load_again_writes_nothing(database, tenant_id):
    rows = [("a", 0, 1.0), ("a", 1, 2.0), ("b", 0, 3.0)]
    assert effect(load(database, tenant_id, rows)) == (3, 0, 0, 0, 0)
    assert effect(load(database, tenant_id, rows, now=NOW + DAY)) == (0, 0, 3, 0, 0)
    assert known(database, tenant_id, "a") == {0: 1.0, 1: 2.0}
    with database.tenant(tenant_id) as connection:
        assert connection.scalar(text("SELECT count(*) FROM obs_version")) == 3


def test_as_of_tells_what_was_known_then(database, tenant_id):
    load(database, tenant_id, [("a", 0, 1.0), ("a", 1, 2.0)])
    loaded = load(database, tenant_id, [("a", 1, 9.0), ("a", 2, 3.0)], now=NOW + DAY)
    assert effect(loaded) == (1, 1, 0, 0, 0)
    assert known(database, tenant_id, "a") == {0: 1.0, 1: 9.0, 2: 3.0}
    assert known(database, tenant_id, "a", as_of=NOW + DAY) == {0: 1, 1: 9, 2: 3}
    assert known(database, tenant_id, "a", as_of=NOW + HOUR) == {0: 1.0, 1: 2.0}
    assert known(database, tenant_id, "a", as_of=NOW - HOUR) == {}


def _versions(database, tenant_id, key, **window) -> list[tuple]:
    with database.tenant(tenant_id) as connection:
        found = series.find(connection, tenant_id=tenant_id, key=key)
        told = issues.told(connection, series_id=found.id, **window)
        columns = told.times, told.known, told.values
    assert [column.dtype.str for column in columns] == ["<M8[us]", "<M8[us]", "<f8"]
    start = np.datetime64(NOW.replace(tzinfo=None), "us")
    hours = [(column - start) / np.timedelta64(1, "h") for column in columns[:2]]
    return list(
        zip(*(hour.tolist() for hour in hours), columns[2].tolist(), strict=True)
    )


def test_all_versions_of_a_value_are_read_with_since_when_they_were_known(
    database, tenant_id, other_tenant_id
):
    load(database, tenant_id, [("a", 0, 1.0), ("a", 1, 2.0)])
    load(database, tenant_id, [("a", 1, 9.0), ("a", 2, 3.0)], now=NOW + DAY)
    load(database, other_tenant_id, [("a", 0, 7.0)])
    every = [(0, 0, 1.0), (1, 0, 2.0), (1, 24, 9.0), (2, 24, 3.0)]
    assert _versions(database, tenant_id, "a") == every
    assert _versions(database, tenant_id, "a", as_of=NOW + HOUR) == every[:2]
    window = {"start": NOW + HOUR, "end": NOW + 2 * HOUR}
    assert _versions(database, tenant_id, "a", **window) == every[1:3]
    assert _versions(database, tenant_id, "a", as_of=NOW - DAY) == []


def test_a_withdrawn_value_is_a_version_without_a_number(database, tenant_id):
    load(database, tenant_id, [("a", 0, 1.0)])
    with database.tenant(tenant_id) as connection:
        connection.execute(text("UPDATE obs_version SET value = NULL"))
    ((_, _, value),) = _versions(database, tenant_id, "a")
    assert np.isnan(value)


def test_a_stretch_is_half_open(database, tenant_id):
    load(database, tenant_id, [("a", hour, float(hour)) for hour in range(5)])
    window = {"start": NOW + HOUR, "end": NOW + 3 * HOUR}
    assert set(known(database, tenant_id, "a", **window)) == {1, 2}
    assert set(known(database, tenant_id, "a", as_of=NOW, **window)) == {1, 2}


def test_identical_copies_are_dropped_and_conflicting_ones_named(database, tenant_id):
    rows = [("a", 0, 1.0), ("a", 0, 1.0), ("a", 1, 2.0), ("b", 1, 5.0), ("a", 1, 3.0)]
    loaded = load(database, tenant_id, rows)
    assert effect(loaded) == (2, 0, 0, 1, 2)
    assert [(item.row, item.key, item.ts) for item in loaded.conflicts] == [
        (3, "a", NOW + HOUR),
        (5, "a", NOW + HOUR),
    ]
    assert known(database, tenant_id, "a") == {0: 1.0}


def test_a_series_of_conflicts_only_is_not_created(database, tenant_id):
    loaded = load(database, tenant_id, [("a", 0, 1.0), ("a", 0, 2.0)])
    assert loaded.windows == ()
    with database.tenant(tenant_id) as connection:
        assert series.find(connection, tenant_id=tenant_id, key="a") is None


def test_a_clock_that_runs_behind_does_not_bury_the_newer_version(database, tenant_id):
    load(database, tenant_id, [("a", 0, 1.0)])
    load(database, tenant_id, [("a", 0, 2.0)], now=NOW - DAY)
    load(database, tenant_id, [("a", 0, 3.0)], now=NOW - DAY)
    assert known(database, tenant_id, "a") == {0: 3.0}
    assert known(database, tenant_id, "a", as_of=NOW + HOUR) == {0: 3.0}
    assert known(database, tenant_id, "a", as_of=NOW) == {0: 1.0}


def test_two_tenants_load_the_same_key_apart(database, tenant_id, other_tenant_id):
    load(database, tenant_id, [("a", 0, 1.0)])
    load(database, other_tenant_id, [("a", 0, 2.0)])
    assert known(database, tenant_id, "a") == {0: 1.0}
    assert known(database, other_tenant_id, "a") == {0: 2.0}
    with database.tenant(tenant_id) as connection:
        mine = series.find(connection, tenant_id=tenant_id, key="a")
    with database.tenant(other_tenant_id) as connection:
        times, _ = observations.read(connection, series_id=mine.id)
        assert len(times) == 0
        assert list(observations.stream(connection, series_id=mine.id)) == []
    with database.system() as connection:
        assert len(observations.read(connection, series_id=mine.id)[0]) == 0


def test_an_empty_load_and_two_loads_in_one_transaction_are_fine(database, tenant_id):
    with database.tenant(tenant_id) as connection:
        for rows in ([], [("a", 0, 1.0)], [("a", 0, 1.0)]):
            staged = loads.stage(connection, [batch(rows)] if rows else [])
            loaded = loads.merge(
                connection, staged=staged, tenant_id=tenant_id, run_id="r", now=NOW
            )
    assert effect(loaded) == (0, 0, 1, 0, 0)


def test_an_error_between_batches_leaves_nothing(database, tenant_id):
    def batches():
        yield batch([("a", 0, 1.0)])
        raise KeyError("the file ended badly")

    with pytest.raises(KeyError), database.tenant(tenant_id) as connection:
        loads.stage(connection, batches())
    assert known(database, tenant_id, "a") == {}


def test_a_null_is_refused_before_it_becomes_another_value(database, tenant_id):
    with pytest.raises(ValueError, match="holds a null"):
        load(database, tenant_id, [("a", 0, None)])


def test_loads_of_one_series_wait_for_each_other(database, tenant_id):
    load(database, tenant_id, [("a", 0, 1.0)])
    results = []

    def second() -> None:
        results.append(load(database, tenant_id, [("a", 0, 2.0), ("a", 1, 2.0)]))

    with database.tenant(tenant_id) as connection:
        staged = loads.stage(connection, [batch([("a", 0, 2.0), ("b", 0, 2.0)])])
        loads.merge(connection, staged=staged, tenant_id=tenant_id, run_id="r", now=NOW)
        thread = threading.Thread(target=second)
        thread.start()
        with psycopg.connect(database.url, autocommit=True) as watch:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not watch.execute(waiting).fetchone()[0]:
                assert thread.is_alive()
    thread.join()
    assert effect(results[0]) == (1, 0, 1, 0, 0)
    with database.tenant(tenant_id) as connection:
        versions = "SELECT count(*) FROM obs_version WHERE value = 2"
        assert connection.scalar(text(versions)) == 3


LOADS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.integers(0, 4), st.sampled_from([1.0, 2.0])
        ),
        max_size=8,
    ),
    max_size=4,
)


@given(files=LOADS)
@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_sequence_of_loads_keeps_every_version_and_no_other(
    database, tenant_id, files
):
    with database.system() as connection:
        for table in ("obs_current", "obs_version"):
            connection.execute(text(f"DELETE FROM {table}"))
    truth: list[dict] = [{}]
    for number, rows in enumerate(files):
        cells: dict = {}
        for key, hour, value in rows:
            cells.setdefault((key, hour), []).append(value)
        good = {at: set(v).pop() for at, v in cells.items() if len(set(v)) == 1}
        before = truth[-1]
        loaded = load(database, tenant_id, rows, now=NOW + number * DAY)
        assert effect(loaded) == (
            sum(at not in before for at in good),
            sum(at in before and before[at] != value for at, value in good.items()),
            sum(before.get(at) == value for at, value in good.items()),
            sum(len(cells[at]) - 1 for at in good),
            sum(len(v) for at, v in cells.items() if at not in good),
        )
        truth.append({**before, **good})
    for number, state in enumerate(truth[1:]):
        for key in "ab":
            expected = {hour: v for (name, hour), v in state.items() if name == key}
            as_of = NOW + number * DAY
            assert known(database, tenant_id, key, as_of=as_of) == expected
    for key in "ab":
        expected = {hour: v for (name, hour), v in truth[-1].items() if name == key}
        assert known(database, tenant_id, key) == expected


@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**31), 2**31 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
        )
    )
)
def test_weaving_and_unweaving_are_inverse(rows):
    dtype = np.dtype([("a", "<i4"), ("b", "<i8"), ("c", "<f8")])
    table = np.array(rows, dtype)
    columns = [
        (size, memoryview(np.ascontiguousarray(table[name])).cast("B"))
        for name, size in (("a", 4), ("b", 8), ("c", 8))
    ]
    woven = copy_binary.weave(columns)
    back = copy_binary.unweave(bytes(woven), widths=(4, 8, 8))
    assert [list(column) for column in back[:2]] == [
        table["a"].tolist(),
        table["b"].tolist(),
    ]
    assert np.array(back[2], np.int64).view("f8").tolist() == table["c"].tolist()
