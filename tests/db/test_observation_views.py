"""Views of observations beside dictionaries, and what no later version can change."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import issues, observation_export, observation_history, observations, series
from tests.db import loading
from tests.db.loading import DAY, HOUR, NOW
from tests.db.naive_observations import NaiveStore

pytestmark = pytest.mark.servers

VALUES = st.sampled_from([1.0, 2.0, -0.5])
HOURS = st.integers(0, 2)
PUBLISHED = st.sampled_from([NOW + days * DAY for days in (-9, -1, 1, 3)])
ISSUED = st.sampled_from([NOW + hours * HOUR for hours in (-30, -24, -1)])
OBSERVED = st.tuples(
    st.sampled_from("ab"), HOURS, VALUES, st.none() | PUBLISHED, st.none()
)
FORECAST = st.tuples(st.just("f"), HOURS, VALUES, st.none() | PUBLISHED, ISSUED)
ROWS = st.lists(OBSERVED | FORECAST, max_size=10)
INSTANTS = st.sampled_from([NOW + days * DAY for days in (-5, 0, 1, 2, 4)])
KNOWN_BY = st.sampled_from(["published", "received"])
HISTORIES = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def exported(database, tenant_id, **view) -> dict:
    """Return {(key, hour): [row without these]} of all series, as they come."""
    found: dict = {}
    with database.tenant(tenant_id) as connection:
        keys = observation_export.named_series(connection, tenant_id=tenant_id)
        for batch in observation_export.stream_many(connection, series=keys, **view):
            for row in batch.to_pylist():
                cell = row.pop("series"), loading.hours(row.pop("ts"))
                found.setdefault(cell, []).append(row)
    assert list(found) == sorted(found)
    return found


def held(store, *, as_of=None, known_by="published", issue=None, lead=None) -> dict:
    """Return the versions that a view is about: {cell: [version]}, by since when."""
    found = {}
    for cell, every in store.cells.items():
        some = [
            one
            for one in sorted(every, key=lambda one: one.since)
            if as_of is None
            or (
                one.since <= as_of
                and (known_by == "published" or one.ingested_at <= as_of)
            )
        ]
        if issue is not None or lead is not None:
            some = [one for one in some if one.issued is not None]
            some = [one for one in some if as_of is None or one.issued <= as_of]
        if lead is not None:
            some = [one for one in some if one.issued <= NOW + cell[1] * HOUR - lead]
        if some:
            found[cell] = some
    if issue == "latest":
        latest: dict = {}
        for (key, _), some in found.items():
            latest[key] = max(
                [*(one.issued for one in some), latest.get(key, NOW - DAY * 99)]
            )
        found = {
            c: [v for v in s if v.issued == latest[c[0]]] for c, s in found.items()
        }
    elif issue is not None:
        found = {c: [v for v in s if v.issued == issue] for c, s in found.items()}
    return {cell: some for cell, some in sorted(found.items()) if some}


def shown(version) -> dict:
    return {
        "value": version.value,
        "known_from": version.since,
        "received_at": version.ingested_at,
        "issued_at": version.issued,
    }


def newest(store, **view) -> dict:
    """Return the newest version of each cell that has a value."""
    by_issue = view.get("lead") is not None
    found = {}
    for cell, some in held(store, **view).items():
        best = max(some, key=lambda one: (one.issued if by_issue else NOW, one.since))
        if best.value is not None:
            found[cell] = [shown(best)]
    return found


def filled(database, tenant_id, loads, gone) -> NaiveStore:
    """Load, one day after the other, then withdraw what is gone."""
    loading.emptied(database)
    store = NaiveStore()
    for number, rows in enumerate(loads):
        now = NOW + number * DAY
        loading.load(database, tenant_id, rows, said=True, now=now)
        store.load(rows, now=now)
    if gone:
        _withdraw(database, tenant_id, store, NOW + len(loads) * DAY)
    return store


def _withdraw(database, tenant_id, store, now) -> None:
    from db import loads, withdrawals

    with database.tenant(tenant_id) as connection:
        staged = loads.stage(connection, loading.batches([], size=1))
        windows = [("a", NOW, NOW + 2 * HOUR)]
        withdrawals.withdraw(
            connection,
            tenant_id=tenant_id,
            staged=staged,
            windows=windows,
            run_id="r",
            now=now,
        )
    store.withdraw(set(), [("a", 0, 2)], now=now)


@given(
    loads=st.lists(ROWS, min_size=1, max_size=3),
    gone=st.booleans(),
    then=st.fixed_dictionaries({"as_of": st.none() | INSTANTS, "known_by": KNOWN_BY}),
    view=st.sampled_from(
        [
            {},
            {"issue": "latest"},
            {"issue": NOW - 24 * HOUR},
            {"lead": timedelta(0)},
            {"lead": timedelta(hours=25)},
        ]
    ),
)
@HISTORIES
def test_every_view_is_that_of_the_dictionaries(
    database, tenant_id, loads, gone, then, view
):
    store = filled(database, tenant_id, loads, gone)
    view = {**view, **then}
    expected = newest(store, **view)
    assert exported(database, tenant_id, versions="newest", **view) == expected
    plain = exported(database, tenant_id, **view)
    values = {cell: [{"value": row["value"]}] for cell, (row,) in expected.items()}
    assert plain == values
    every = exported(database, tenant_id, versions="all", **view)
    assert every == {
        cell: [shown(one) for one in some] for cell, some in held(store, **view).items()
    }


@given(
    before=st.lists(ROWS, min_size=1, max_size=2),
    later=ROWS,
    at=st.integers(1, 3),
    known_by=KNOWN_BY,
)
@HISTORIES
def test_what_becomes_known_later_never_changes_a_read_as_of_before(
    database, tenant_id, before, later, at, known_by
):
    filled(database, tenant_id, before, gone=False)
    now = NOW + (len(before) + at) * DAY
    if known_by == "published":
        # Vintages of the past may come late; those were public before.
        later = [row for row in later if row[3] is None or row[3] > now - HOUR]
    then = {"as_of": now - HOUR, "known_by": known_by}
    reads = [{**then, "versions": one} for one in ("none", "newest", "all")]
    reads += [{**then, "issue": "latest"}, {**then, "lead": HOUR}]
    told_before = [exported(database, tenant_id, **one) for one in reads]
    listed = _listed(database, tenant_id, then)
    loading.load(database, tenant_id, later, said=True, now=now)
    _withdraw(database, tenant_id, NaiveStore(), now + HOUR)
    assert [exported(database, tenant_id, **one) for one in reads] == told_before
    assert _listed(database, tenant_id, then) == listed


def _listed(database, tenant_id, then) -> tuple:
    """Return what the other ways of reading say of the forecast and of a time."""
    with database.tenant(tenant_id) as connection:
        found = series.find(connection, tenant_id=tenant_id, key="f")
        if found is None:
            return [], [], [], []
        one = {"series_id": found.id, **then}
        told = issues.told(connection, **one)
        return (
            issues.page(connection, **one),
            observation_history.history(connection, ts=NOW, **one),
            [column.tolist() for column in observations.read(connection, **one)],
            [np.nan_to_num(column).tolist() for column in (told.values, told.dated)],
        )


@given(loads=st.lists(ROWS, min_size=1, max_size=3), gone=st.booleans())
@HISTORIES
def test_the_history_of_a_time_is_all_its_versions(database, tenant_id, loads, gone):
    store = filled(database, tenant_id, loads, gone)
    with database.tenant(tenant_id) as connection:
        for (key, hour), every in store.cells.items():
            found = series.find(connection, tenant_id=tenant_id, key=key)
            told = observation_history.history(
                connection, series_id=found.id, ts=NOW + hour * HOUR
            )
            assert [
                (one.value, one.known_from, one.received_at, one.issued_at, one.status)
                for one in told
            ] == [
                (one.value, one.since, one.ingested_at, one.issued, one.status)
                for one in sorted(every, key=lambda one: one.since)
            ]


def test_issues_come_a_page_at_a_time_the_newest_first(database, tenant_id):
    loading.emptied(database)
    rows = [
        ("f", hour, 1.0 + issue, None, NOW - issue * DAY)
        for issue in range(5)
        for hour in range(issue, issue + 3)
    ]
    loading.load(database, tenant_id, rows, said=True, now=NOW + DAY)
    with database.tenant(tenant_id) as connection:
        found = series.find(connection, tenant_id=tenant_id, key="f")
        first = issues.page(connection, series_id=found.id, limit=2)
        rest = issues.page(
            connection, series_id=found.id, before=first[-1].issued_at, limit=9
        )
        early = issues.page(connection, series_id=found.id, end=NOW + HOUR)
    told = [*first, *rest]
    assert [one.issued_at for one in told] == [NOW - day * DAY for day in range(5)]
    assert [(one.first, one.last, one.count) for one in told] == [
        (NOW + day * HOUR, NOW + (day + 2) * HOUR, 3) for day in range(5)
    ]
    assert {one.received_at for one in told} == {NOW + DAY}
    assert [one.issued_at for one in early] == [NOW]
