"""Deliveries are claimed in turns, and a backlog holds up its owner alone."""

from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import text

from db import deliveries, keys
from db.deliveries import Due, Room
from tests.db import rows
from tests.db.hooks import ROOM, states

pytestmark = pytest.mark.servers


def test_a_claim_leases_and_names_all_that_is_needed_to_send(made, tell, claim):
    webhook = made()
    tell()
    (due,) = claim()
    assert (due.webhook_id, due.attempt, due.kind) == (webhook.id, 1, "succeeded")
    assert (due.url, due.generation, due.body) == (webhook.url, 1, None)
    assert due.event["type"] == "system.echo"
    assert due.event["body"] == {"state": "x", "attempt": 1}
    assert claim() == []
    assert claim(later_s=59) == []
    (again,) = claim(later_s=61)
    assert (again.id, again.attempt) == (due.id, 2)


def test_a_claim_leaves_room_for_what_is_being_sent(made, tell, claim):
    for _ in range(3):
        made()
    for _ in range(3):
        tell()
    busy = claim()
    assert len(busy) == ROOM.tenant
    assert claim(busy=busy) == []
    (one,) = claim(busy=busy[1:])
    assert one.id not in {due.id for due in busy}


def test_a_claim_takes_no_more_than_there_is_room_for(made, tell, claim):
    made()
    for _ in range(3):
        tell()
    assert len(claim(room=Room(limit=1, tenant=4, each=2))) == 1
    assert len(claim()) == 2


def serve(database, claim, *, times: int) -> list[Due]:
    """Claim again and again while every place is taken; one arrives each time."""
    busy, served = [], []
    for _ in range(times):
        claimed = claim(busy=busy)
        busy += claimed
        served += claimed
        rows.change(
            database,
            "UPDATE webhook_deliveries SET state = 'delivered' WHERE id = :id",
            id=busy.pop(0).id,
        )
    return served


def test_older_backlogs_of_other_tenants_do_not_hold_up_a_tenant(
    database, tenant_id, other_tenant_id, made, backlog, claim
):
    for tenant in (tenant_id, other_tenant_id):
        for _ in range(2):
            backlog(made(tenant_id=tenant), count=20, age_s=100)
    with database.system() as connection:
        third = keys.ensure_tenant(connection, name="third")
    backlog(made(tenant_id=third), count=1, age_s=50)
    served = serve(database, claim, times=3)
    assert [due.tenant_id for due in served[:8]].count(third) == 1
    assert len(served) == ROOM.limit + 2


def test_older_backlogs_of_a_tenant_s_webhooks_do_not_hold_up_another_of_its_own(
    database, made, backlog, claim
):
    for _ in range(2):
        backlog(made(), count=20, age_s=100)
    young = made()
    backlog(young, count=1, age_s=50)
    first = claim()
    assert len(first) == ROOM.tenant
    assert young.id in {due.webhook_id for due in first}


def test_a_claim_takes_the_oldest_of_each_webhook_first(made, backlog, claim):
    webhook = made()
    backlog(webhook, count=3, age_s=100)
    assert [due.id[-1] for due in claim()] == ["1", "2"]
    assert [due.id[-1] for due in claim()] == ["3"]


@pytest.mark.parametrize("counted_after", [1, 2])
def test_a_claim_reads_no_more_of_a_backlog_than_it_may_send(
    database, made, backlog, counted_after
):
    for number in (1, 2):
        backlog(made(), count=10_000, age_s=100)
        if number == counted_after:  # what autovacuum does within a minute
            with psycopg.connect(database.url, autocommit=True) as connection:
                connection.execute("ANALYZE webhook_deliveries")
    given = {"now": datetime.now(UTC), "busy": "{}", "lease": 60, "limit": ROOM.limit}
    with database.system() as connection:
        (plan,) = connection.scalar(
            text(f"EXPLAIN (ANALYZE, FORMAT json) {deliveries._CLAIM}"),
            {**given, "tenant": ROOM.tenant, "each": ROOM.each},
        )
    read = [
        step["Actual Rows"] * step["Actual Loops"]
        for step in steps(plan["Plan"])
        if "webhook_deliveries" in step.get("Relation Name", step.get("Index Name", ""))
        and "Scan" in step["Node Type"]
    ]
    assert 0 < sum(read) <= 40


def steps(plan: dict) -> list[dict]:
    """A plan's steps, whatever they are nested in."""
    return [plan, *(one for below in plan.get("Plans", ()) for one in steps(below))]


def test_what_waits_for_a_disabled_webhook_is_failed_by_the_next_claim(
    database, made, tell, claim, disable
):
    webhook, other = made(), made()
    tell()
    (mine,) = (due for due in claim() if due.webhook_id == webhook.id)
    tell()
    disable(webhook)
    assert {due.webhook_id for due in claim()} == {other.id}
    with database.system() as connection:
        found = connection.execute(
            text(
                "SELECT webhook_id, state, next_attempt_at, last_error, ended_at "
                "FROM webhook_deliveries ORDER BY id"
            )
        ).all()
    failed = [one for one in found if one.state == "failed"]
    assert [one.webhook_id for one in failed] == [webhook.id] * 2
    for one in failed:
        assert (one.next_attempt_at, one.last_error) == (
            None,
            "the webhook was disabled",
        )
        assert one.ended_at
    assert {one.state for one in found if one.webhook_id == other.id} == {"pending"}
    assert mine.id


def test_a_claim_does_not_wait_for_what_another_has_in_its_hands(
    database, made, tell, claim, disable
):
    webhook = made()
    tell()
    disable(webhook)
    with database.system() as connection:
        connection.execute(text("SELECT id FROM webhook_deliveries FOR UPDATE"))
        assert claim() == []
        assert states(database) == [("pending", 0)]
    assert claim() == []
    assert states(database) == [("failed", 0)]
