"""Reading many series at once, beside reading each."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import observations, series
from tests.tasks.series import HOUR, START, store

pytestmark = pytest.mark.servers

LATE = START + timedelta(days=400)


def _ids(database, tenant_id, keys) -> list[int]:
    with database.tenant(tenant_id) as connection:
        found = series.find_many(connection, tenant_id=tenant_id, keys=keys)
    return [found[key].id for key in keys]


@pytest.fixture
def kept(database, tenant_id) -> list[int]:
    """Four series: one revised, one with a gap, one empty, one long."""
    store(database, tenant_id, "a", [1.0, 2.0, 3.0])
    store(database, tenant_id, "a", [1.0, 5.0], now=LATE)
    store(database, tenant_id, "b", [4.0], now=LATE)
    store(database, tenant_id, "long", [float(at) for at in range(200)])
    with database.tenant(tenant_id) as connection:
        series.upsert(connection, tenant_id=tenant_id, key="empty", fields={}, now=LATE)
    return _ids(database, tenant_id, ["a", "b", "empty", "long"])


@settings(
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=st.lists(st.integers(0, 3), unique=True),
    as_of=st.sampled_from([None, LATE - HOUR, LATE + HOUR]),
)
def test_many_are_read_as_each_would_be(database, tenant_id, kept, order, as_of):
    wanted = [kept[at] for at in order]
    with database.tenant(tenant_id) as connection:
        found = observations.read_many(connection, series_ids=wanted, as_of=as_of)
        assert [*found] == wanted
        for series_id, (times, values) in found.items():
            alone = observations.read(connection, series_id=series_id, as_of=as_of)
            assert (times == alone[0]).all()
            assert times.dtype == alone[0].dtype
            assert values.tolist() == alone[1].tolist()


def test_reading_stops_when_it_holds_enough(database, tenant_id, kept):
    with database.tenant(tenant_id) as connection:
        found = observations.read_many(connection, series_ids=kept, most_rows=4)
        assert [*found] == kept[:2]
        # The transaction is as good as before.
        assert observations.read_many(connection, series_ids=kept[2:]).keys() == {
            *kept[2:]
        }


def test_one_series_is_read_however_long_it_is(database, tenant_id, kept):
    with database.tenant(tenant_id) as connection:
        found = observations.read_many(connection, series_ids=kept[3:], most_rows=1)
    assert [len(times) for times, _ in found.values()] == [200]


def test_another_tenant_reads_nothing(database, other_tenant_id, kept):
    with database.tenant(other_tenant_id) as connection:
        found = observations.read_many(connection, series_ids=kept)
        assert observations.span(connection, series_ids=kept) is None
    assert [len(times) for times, _ in found.values()] == [0] * 4


def test_the_span_is_that_of_all_observations(database, tenant_id, kept):
    with database.tenant(tenant_id) as connection:
        whole = observations.span(connection, series_ids=kept)
        small = observations.span(connection, series_ids=kept[:2])
        none = observations.span(connection, series_ids=kept[2:3])
        then = observations.span(
            connection, series_ids=kept[1:2], as_of=LATE - timedelta(days=1)
        )
    assert whole == (START, START + 199 * HOUR)
    assert small == (START, START + 2 * HOUR)
    assert (none, then) == (None, None)
