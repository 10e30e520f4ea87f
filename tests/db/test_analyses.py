"""Analyses that jobs stored, and their anomalies."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from db import analyses
from tests.db import rows

pytestmark = pytest.mark.servers

HOUR = timedelta(hours=1)


@pytest.fixture
def series_id(database, tenant_id) -> int:
    return rows.series(database, tenant_id)


def _found(hour) -> analyses.FoundAnomaly:
    return analyses.FoundAnomaly(
        start_at=rows.AT + hour * HOUR,
        end_at=rows.AT + (hour + 1) * HOUR,
        kind="spike",
        severity="high",
        score=0.9,
        explanation="twice the usual",
    )


def _store(database, tenant_id, series_id, hours) -> str:
    job_id = rows.queued(database, tenant_id)
    new = analyses.NewAnalysis(
        series_id=series_id,
        mode="batch",
        start_at=rows.AT,
        end_at=rows.AT + 24 * HOUR,
        anomalies=[_found(hour) for hour in hours],
    )
    with database.tenant(tenant_id) as connection:
        return analyses.store(connection, tenant_id=tenant_id, job_id=job_id, new=new)


def _page(database, tenant_id, series_id, before=None, limit=10) -> list[dict]:
    with database.tenant(tenant_id) as connection:
        return analyses.of_series(
            connection,
            tenant_id=tenant_id,
            series_id=series_id,
            before=before,
            limit=limit,
        )


def test_an_analysis_is_stored_with_its_anomalies(database, tenant_id, series_id):
    analysis_id = _store(database, tenant_id, series_id, [3])
    with database.tenant(tenant_id) as connection:
        kept = connection.execute(text("SELECT * FROM analyses")).one()
    assert (kept.id, kept.series_id, kept.mode) == (analysis_id, series_id, "batch")
    assert (kept.start_at, kept.end_at) == (rows.AT, rows.AT + 24 * HOUR)
    (anomaly,) = _page(database, tenant_id, series_id)
    assert anomaly.pop("id") > 0
    assert anomaly == {
        "tenant_id": tenant_id,
        "analysis_id": analysis_id,
        "series_id": series_id,
        **vars(_found(3)),
    }


def test_an_analysis_that_found_nothing_is_stored_too(database, tenant_id, series_id):
    _store(database, tenant_id, series_id, [])
    assert rows.value(database, "SELECT count(*) FROM analyses") == 1
    assert _page(database, tenant_id, series_id) == []


def test_anomalies_are_paged_from_the_last_found(database, tenant_id, series_id):
    _store(database, tenant_id, series_id, range(5))
    first = _page(database, tenant_id, series_id, limit=3)
    second = _page(database, tenant_id, series_id, before=first[-1]["id"], limit=3)
    ids = [one["id"] for one in first + second]
    assert len(ids) == 5
    assert ids == sorted(set(ids), reverse=True)


def test_another_tenant_or_series_sees_no_anomaly(
    database, tenant_id, other_tenant_id, series_id
):
    _store(database, tenant_id, series_id, [1])
    assert _page(database, other_tenant_id, series_id) == []
    assert _page(database, tenant_id, series_id + 1) == []
