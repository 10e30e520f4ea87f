"""Any history of loads, vintages, withdrawals and crashes, beside dictionaries."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import issues, loads, observations, series, withdrawals
from tests.db import loading
from tests.db.loading import DAY, HOUR, NOW, effect
from tests.db.naive_observations import NaiveStore

pytestmark = pytest.mark.servers

KEYS = ("a", "b", "f")
VALUES = st.sampled_from([1.0, 2.0, -0.5])
HOURS = st.integers(0, 2)
# Around the times of the loads, some of them a millisecond apart.
PUBLISHED = st.sampled_from(
    [
        NOW + days * DAY + ms * timedelta(milliseconds=1)
        for days in (-9, 1, 3)
        for ms in (0, 1)
    ]
)
ISSUED = st.sampled_from([NOW + hours * HOUR for hours in (-30, -24, -18)])
OBSERVED = st.tuples(
    st.sampled_from("ab"), HOURS, VALUES, st.none() | PUBLISHED, st.none()
)
FORECAST = st.tuples(st.just("f"), HOURS, VALUES, st.none() | PUBLISHED, ISSUED)
PLAIN = st.tuples(st.sampled_from("ab"), HOURS, VALUES, st.none(), st.none())
ROWS = st.lists(OBSERVED | FORECAST, max_size=8) | st.lists(PLAIN, max_size=8)
WINDOWS = st.lists(
    st.tuples(st.sampled_from(KEYS), HOURS, st.integers(1, 3)), max_size=2
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["load", "again", "killed", "late"]),
        ROWS,
        WINDOWS,
        st.integers(1, 9),
    ),
    max_size=5,
)


class Killed(Exception):
    """The worker is gone before its transaction ends."""


def step(database, tenant_id, rows, windows, *, size, now, known_from, killed):
    """Load, and withdraw what complete windows no longer hold; both or neither."""
    stretches = [
        (key, NOW + first * HOUR, NOW + (first + count) * HOUR)
        for key, first, count in windows
    ]
    with database.tenant(tenant_id) as connection:
        staged = loads.stage(connection, loading.batches(rows, size=size, said=True))
        loaded = loads.merge(
            connection,
            staged=staged,
            tenant_id=tenant_id,
            run_id="r",
            now=now,
            known_from=known_from,
        )
        told = {"tenant_id": tenant_id, "staged": staged, "windows": stretches}
        expected = withdrawals.count_withdrawn(connection, **told)
        gone = withdrawals.withdraw(connection, **told, run_id="r", now=now)
        assert gone == expected
        if killed:
            raise Killed
    return loaded, gone


def read(database, tenant_id, **stretch) -> dict:
    """Return {(key, hour): value} of all series, read in both ways."""
    found = {}
    with database.tenant(tenant_id) as connection:
        known = series.find_many(connection, tenant_id=tenant_id, keys=KEYS)
        ids = [one.id for one in known.values()]
        many = observations.read_many(connection, series_ids=ids, **stretch)
        for one in known.values():
            times, values = observations.read(connection, series_id=one.id, **stretch)
            assert times.tolist() == many[one.id][0].tolist()
            assert values.tolist() == many[one.id][1].tolist()
            hours = [(t - NOW.replace(tzinfo=None)) // HOUR for t in times.tolist()]
            found |= {
                (one.key, hour): value
                for hour, value in zip(hours, values.tolist(), strict=True)
            }
    return found


@given(steps=STEPS)
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_history_leaves_the_tables_of_the_dictionaries(database, tenant_id, steps):
    loading.emptied(database)
    store = NaiveStore()
    before: list = []
    instants = [NOW]
    for number, (kind, rows, windows, size) in enumerate(steps):
        now = NOW + number * DAY
        given_rows = before if kind == "again" else rows
        more = {
            "size": size,
            "now": now,
            "known_from": now - 2 * DAY if kind == "late" else now - HOUR,
            "killed": kind == "killed",
        }
        if kind == "killed":
            with pytest.raises(Killed):
                step(database, tenant_id, given_rows, windows, **more)
            continue
        loaded, gone = step(database, tenant_id, given_rows, windows, **more)
        counts = store.load(given_rows, now=now, known_from=more["known_from"])
        there = {(key, hour) for key, hour, *_ in given_rows}
        spans = [(key, first, first + count) for key, first, count in windows]
        assert effect(loaded) == counts.all()
        assert gone == store.withdraw(there, spans, now=now)
        before = given_rows
        instants += [now, now - HOUR, now + DAY]
    assert loading.versions(database) == store.versions()
    assert loading.current(database) == store.current()
    _reads_agree(database, tenant_id, store, instants)


def _reads_agree(database, tenant_id, store, instants) -> None:
    newest = {at: one[0] for at, one in store.current().items() if one[0] is not None}
    assert read(database, tenant_id) == newest
    for at in {*instants[-3:], NOW + DAY + timedelta(milliseconds=1)}:
        for known_by in ("published", "received"):
            found = read(database, tenant_id, as_of=at, known_by=known_by)
            assert found == store.as_of(at, known_by=known_by)
    with database.tenant(tenant_id) as connection:
        forecast = series.find(connection, tenant_id=tenant_id, key="f")
        if forecast is None:
            return
        every = {issued for *_, issued, _, _ in _issued(store)}
        assert issues.issues(connection, series_id=forecast.id) == sorted(every)
        for issued in every:
            times, values = issues.read_issue(
                connection, series_id=forecast.id, issued_at=issued
            )
            hours = [(t - NOW.replace(tzinfo=None)) // HOUR for t in times.tolist()]
            found = dict(zip(hours, values.tolist(), strict=True))
            assert found == store.issue("f", issued)


def _issued(store) -> list[tuple]:
    return [one for one in store.versions().values() if one[2] is not None]


@given(rows=ROWS, sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)))
@settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_load_that_runs_again_writes_nothing(database, tenant_id, rows, sizes):
    loading.emptied(database)
    more = {"said": True, "now": NOW + 5 * DAY}
    first = loading.load(database, tenant_id, rows, size=sizes[0], **more)
    left = loading.versions(database), loading.current(database)
    more["now"] += DAY
    again = loading.load(database, tenant_id, rows, size=sizes[1], **more)
    assert (again.written, again.revised) == (0, 0)
    assert again.unchanged == first.written + first.revised + first.unchanged
    assert (loading.versions(database), loading.current(database)) == left


@given(
    cells=st.sets(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), min_size=1),
    data=st.data(),
)
@settings(
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_as_many_versions_are_written_as_values_are_revised(
    database, tenant_id, cells, data
):
    loading.emptied(database)
    rows = [(key, hour, 1.0) for key, hour in data.draw(st.permutations(sorted(cells)))]
    changed = data.draw(st.sets(st.sampled_from(rows)))
    loading.load(database, tenant_id, rows, size=7)
    revised = [(*row[:2], 2.0 if row in changed else 1.0) for row in rows]
    loaded = loading.load(database, tenant_id, revised, size=5, now=NOW + DAY)
    assert (loaded.written, loaded.revised) == (0, len(changed))
    assert len(loading.versions(database)) == len(rows) + len(changed)
