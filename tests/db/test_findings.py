"""Findings: one open for each series and kind, listed, closed, told."""

import pytest
from sqlalchemy.exc import IntegrityError

from db import findings
from db.findings import CLOSED, OPENED, Finding, Wanted
from db.ids import new_id
from tests.db import rows
from tests.db.rows import AT

pytestmark = pytest.mark.servers


@pytest.fixture
def job_id(database, tenant_id) -> str:
    return rows.queued(database, tenant_id)


@pytest.fixture
def add(database, tenant_id, job_id):
    """Open a finding; return its id."""

    def run(series_id: int, kind: str = "input") -> str:
        item = {"id": new_id("drf"), "series_id": series_id, "kind": kind}
        items = [{**item, "forecaster": None, "detail": {"p_value": 0.01}}]
        with database.tenant(tenant_id) as connection:
            findings.add(
                connection, tenant_id=tenant_id, job_id=job_id, items=items, now=AT
            )
        return items[0]["id"]

    return run


@pytest.fixture
def close(database, tenant_id):
    def run(*ids, now=AT) -> None:
        with database.tenant(tenant_id) as connection:
            findings.close(connection, tenant_id=tenant_id, ids=ids, now=now)

    return run


def listed(database, tenant_id, before=None, limit=50, **wanted) -> list[Finding]:
    with database.tenant(tenant_id) as connection:
        return findings.page(
            connection,
            tenant_id=tenant_id,
            wanted=Wanted(**wanted),
            before=before,
            limit=limit,
        )


def test_a_series_has_one_open_finding_of_a_kind(database, tenant_id, add, close):
    load = rows.series(database, tenant_id)
    first = add(load)
    other = add(load, "performance")
    with pytest.raises(IntegrityError, match="uq_drift_findings_open"):
        add(load)
    close(first)
    second = add(load)
    assert [one.id for one in listed(database, tenant_id)] == [second, other, first]


def test_findings_are_listed_by_state_series_and_kind_page_by_page(
    database, tenant_id, other_tenant_id, add, close
):
    a, b = (rows.series(database, tenant_id, key) for key in "ab")
    ids = [add(a), add(b), add(b, "performance")]
    close(ids[1])

    def seen(tenant=tenant_id, **given) -> list[int]:
        return [ids.index(one.id) for one in listed(database, tenant, **given)]

    assert seen() == [2, 1, 0]
    assert (seen(open=True), seen(open=False)) == ([2, 0], [1])
    assert (seen(series="b"), seen(series="x")) == ([2, 1], [])
    assert (seen(kind="performance"), seen(kind="input", open=True)) == ([2], [0])
    assert (seen(limit=1), seen(before=ids[1])) == ([2], [0])
    assert seen(other_tenant_id) == []


def test_an_update_with_the_same_numbers_changes_nothing(database, tenant_id, add):
    load = rows.series(database, tenant_id)
    made = add(load)

    def update(**detail) -> int:
        items = [{"id": made, "forecaster": None, "detail": detail}]
        with database.tenant(tenant_id) as connection:
            return findings.update(
                connection, tenant_id=tenant_id, items=items, now=rows.AT
            )

    assert update(p_value=0.01) == 0
    assert (update(p_value=0.02), update(p_value=0.02)) == (1, 0)
    assert listed(database, tenant_id)[0].detail == {"p_value": 0.02}


def test_a_finding_that_was_closed_stays_as_it_is(database, tenant_id, add, close):
    made = add(rows.series(database, tenant_id))
    close(made)
    before = listed(database, tenant_id)
    close(made, now=AT.replace(year=2027))
    assert listed(database, tenant_id) == before
    assert before[0].closed_at == AT


def test_each_webhook_that_wants_it_is_told_of_each_finding(
    database, tenant_id, other_tenant_id, job_id, made
):
    made(kinds=["succeeded", OPENED])
    made(kinds=[OPENED, CLOSED])
    made(kinds=["succeeded"])
    made(kinds=[OPENED], tenant_id=other_tenant_id)
    for kind in (OPENED, CLOSED):
        with database.tenant(tenant_id) as connection:
            findings.tell(
                connection,
                tenant_id=tenant_id,
                job_id=job_id,
                kind=kind,
                told=[{"id": "drf_1"}, {"id": "drf_2"}],
            )
    query = "SELECT count(*) FROM webhook_deliveries WHERE kind = :kind"
    assert rows.value(database, query, kind=OPENED) == 4
    assert rows.value(database, query, kind=CLOSED) == 2
    history = rows.history(database, tenant_id, job_id)
    assert history == ["queued", OPENED, OPENED, CLOSED, CLOSED]


def test_who_decides_about_a_tenant_s_drift_is_alone(
    database, tenant_id, other_tenant_id
):
    held = (
        "SELECT pg_try_advisory_xact_lock(hashtextextended('drift', "
        "CAST(:tenant AS bigint)))"
    )
    with database.tenant(tenant_id) as connection:
        findings.hold(connection, tenant_id=tenant_id)
        assert rows.value(database, held, tenant=tenant_id) is False
        assert rows.value(database, held, tenant=other_tenant_id) is True
    assert rows.value(database, held, tenant=tenant_id) is True
