"""What series are judged by, and that judging and loading do not block each other."""

import threading
from datetime import timedelta

import pytest

from db import freshness, series, source_series
from db.source_series import Bound
from tests.db import kept
from tests.db.rows import AT
from tests.tasks.series import HOUR, START, store

pytestmark = pytest.mark.servers


@pytest.fixture
def made(database, tenant_id):
    """A source of fifty series."""
    with database.tenant(tenant_id) as connection:
        source = kept.source(connection, tenant_id)
        keys = [f"k{number:02}" for number in range(50)]
        ids = series.ids(connection, tenant_id=tenant_id, keys=keys, now=AT)
        source_series.upsert(
            connection,
            tenant_id=tenant_id,
            source_id=source.id,
            found={key: Bound(ids[key]) for key in keys},
        )
    return source


def judged(database, tenant_id, **wanted) -> list[freshness.Judged]:
    with database.tenant(tenant_id) as connection:
        return freshness.of_tenant(connection, tenant_id=tenant_id, **wanted)


def test_a_series_without_values_has_no_rhythm(database, tenant_id, made):
    found = judged(database, tenant_id)
    assert len(found) == 50
    assert (found[0].latest, found[0].gap, found[0].delay) == (None, None, None)
    assert judged(database, tenant_id, source="other") == []


def test_the_rhythm_is_that_of_the_latest_values(database, tenant_id, made):
    """A gap of long ago counts no more, and the best arrival tells of all."""
    store(database, tenant_id, "k00", [1.0] * 40, now=START + 45 * HOUR)
    with database.tenant(tenant_id) as connection:
        for at in (3, 30):
            connection.exec_driver_sql(
                "DELETE FROM obs_current WHERE ts = %s", (START + at * HOUR,)
            )
    found = judged(database, tenant_id)[0]
    assert found.latest == START + 39 * HOUR
    assert (found.gap, found.delay) == (2 * HOUR, 6 * HOUR)


def test_another_tenant_sees_none_of_it(database, tenant_id, other_tenant_id, made):
    assert judged(database, other_tenant_id) == []


def test_judging_and_loading_do_not_wait_in_a_circle(database, tenant_id, made):
    keys = [f"k{number:02}" for number in range(50)]
    named = {"tenant_id": tenant_id, "source_id": made.id}

    def load() -> None:
        for step in range(10):
            mark = AT + timedelta(hours=step)
            with database.tenant(tenant_id) as connection:
                source_series.advance(
                    connection, **named, marks=dict.fromkeys(keys, mark), now=mark
                )

    other = threading.Thread(target=load)
    other.start()
    for step in range(10):
        state = ("fresh", "late")[step % 2]
        with database.tenant(tenant_id) as connection:
            found = freshness.of_tenant(connection, tenant_id=tenant_id)
            freshness.change(
                connection,
                tenant_id=tenant_id,
                changed=[(one, state) for one in found[::-1]],
                now=AT,
            )
    other.join()
    with database.tenant(tenant_id) as connection:
        marks = source_series.watermarks(connection, **named)
        counts = source_series.freshness_counts(connection, **named)
    assert marks == dict.fromkeys(keys, AT + timedelta(hours=9))
    assert counts == {"late": 50}
