"""Deliveries are made with the events they tell of, and end once."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from db import deliveries, events, webhooks
from db.deliveries import WEBHOOKS_CHANNEL, Due, Outcome
from db.webhooks import Webhook
from tests.db import rows
from tests.db.hooks import states, waits_for_a_lock
from tests.db.patience import until

pytestmark = pytest.mark.servers


def test_an_event_makes_a_delivery_for_each_webhook_that_wants_its_kind(
    database, made, tell, change, other_tenant_id
):
    wanting = [made(), made(kinds=["succeeded"])]
    made(kinds=["failed"])
    made(tenant_id=other_tenant_id)
    change(made().id, enabled=False)
    event_id = tell("succeeded")
    with database.system() as connection:
        found = connection.execute(text("SELECT * FROM webhook_deliveries")).all()
    assert {one.webhook_id for one in found} == {one.id for one in wanting}
    for one in found:
        assert (one.event_id, one.kind, one.state) == (event_id, "succeeded", "pending")
        assert (one.body, one.attempts) == ({}, 0)


def test_ids_are_uuids_of_version_7_and_sort_by_age(database, made, tell):
    made()
    for _ in range(5):
        tell()
    with database.system() as connection:
        ids = connection.scalars(
            text("SELECT id FROM webhook_deliveries ORDER BY event_id")
        ).all()
    assert ids == sorted(ids)
    now_ms = datetime.now(UTC).timestamp() * 1_000
    for one in ids:
        prefix, _, number = one.partition("_")
        assert (prefix, len(number), number[12]) == ("whd", 32, "7")
        assert number[16] in "89ab"
        assert abs(int(number[:12], 16) - now_ms) < 60_000


def test_listeners_are_told_when_there_is_something_to_send(database, made, tell):
    told = []
    stop = threading.Event()

    def listen() -> None:
        for payload in events.listen(
            database, channels=(WEBHOOKS_CHANNEL,), patience_s=0.05
        ):
            told.append(payload)
            if stop.is_set():
                return

    thread = threading.Thread(target=listen)
    thread.start()
    until(lambda: told)
    tell()
    made()
    tell()
    until(lambda: "" in told)
    stop.set()
    thread.join()
    assert told.count("") == 1


def test_an_event_of_a_webhook_that_is_being_deleted_is_no_error(
    database, tenant_id, made, tell
):
    webhook = made()
    begun, ended = threading.Event(), []

    def late() -> None:
        begun.set()
        ended.append(tell())

    with database.tenant(tenant_id) as connection:
        webhooks.delete(connection, tenant_id=tenant_id, webhook_id=webhook.id)
        thread = threading.Thread(target=late)
        thread.start()
        begun.wait(30)
        until(lambda: waits_for_a_lock(database))
    thread.join()
    assert len(ended) == 1
    assert states(database) == []


def give_up(database, due: Due, meanwhile=lambda: None) -> None:
    """Record a 410 as a sender would, and let something happen half-way."""
    at = datetime.now(UTC)
    outcome = Outcome(delivered=False, at=at, duration_ms=1, body="{}", status=410)
    with database.system() as connection:
        deliveries.record(connection, due=due, outcome=outcome)
        meanwhile()
        deliveries.give_up(connection, webhook_id=due.webhook_id, reason="gone", now=at)


@pytest.fixture
def ends(database, tenant_id, change) -> dict[str, Callable[[Due], None]]:
    """What else may end the webhook of a delivery."""

    def delete(due: Due) -> None:
        with database.tenant(tenant_id) as connection:
            webhooks.delete(connection, tenant_id=tenant_id, webhook_id=due.webhook_id)

    return {
        "deleted": delete,
        "disabled": lambda due: change(due.webhook_id, enabled=False),
        "given up": lambda due: give_up(database, due),
    }


@pytest.mark.parametrize("how", ["deleted", "disabled", "given up"])
def test_a_410_of_a_webhook_that_another_ends_at_once_is_no_deadlock(
    database, made, tell, claim, ends, how
):
    made()
    tell()
    tell()
    due, other = claim()
    ended = []

    def end() -> None:
        ends[how](other)
        ended.append(how)

    def meanwhile() -> None:
        thread.start()
        until(lambda: waits_for_a_lock(database))

    thread = threading.Thread(target=end)
    give_up(database, due, meanwhile)
    thread.join()
    assert ended == [how]
    assert states(database) == ([] if how == "deleted" else [("failed", 1)] * 2)


def test_an_event_that_is_gone_is_named_by_none(database, made, tell, claim):
    made()
    tell()
    rows.change(database, "DELETE FROM job_events")
    (due,) = claim()
    assert (due.event, due.body) == (None, None)


def test_a_late_failure_does_not_undo_what_a_younger_attempt_did(
    database, made, tell, claim, record
):
    made()
    tell()
    (slow,) = claim()
    (quick,) = claim(later_s=61)
    record(slow, status=500, error="answered 500")
    assert states(database) == [("pending", 2)]
    record(quick, delivered=True, status=200)
    record(slow, status=500, error="answered 500")
    assert states(database) == [("delivered", 2)]
    assert rows.value(database, "SELECT count(*) FROM webhook_attempts") == 3


def test_a_late_success_counts(database, made, tell, claim, record):
    made()
    tell()
    (slow,) = claim()
    (quick,) = claim(later_s=61)
    record(quick, status=500, error="answered 500")
    assert states(database) == [("failed", 2)]
    record(slow, delivered=True, status=200)
    assert states(database) == [("delivered", 2)]


def test_what_was_sent_is_kept_as_it_was(made, tell, claim, record):
    made()
    tell()
    (due,) = claim()
    now = datetime.now(UTC)
    record(due, status=500, next_attempt_at=now, body='{"b": 1,   "a":2}')
    (again,) = claim(later_s=1)
    assert again.body == '{"b": 1,   "a":2}'


@pytest.fixture
def three(made, tell, claim, record) -> Webhook:
    """A webhook with three deliveries, of which two have arrived."""
    webhook = made()
    for _ in range(3):
        tell()
    for due in claim():
        record(due, delivered=True, status=200)
    return webhook


def test_deliveries_are_paged_found_and_logged_for_their_tenant_alone(
    database, tenant_id, other_tenant_id, three
):

    def page(tenant: int, **more):
        given = {"state": None, "before": None, "limit": 2} | more
        with database.tenant(tenant) as connection:
            return deliveries.page(
                connection, tenant_id=tenant, webhook_id=three.id, **given
            )

    first = page(tenant_id)
    (last,) = page(tenant_id, before=first[-1].id)
    ids = [one.id for one in (*first, last)]
    assert ids == sorted(ids, reverse=True)
    assert [one.id for one in page(tenant_id, state="pending")] == [ids[0]]
    assert page(other_tenant_id) == []
    for tenant, count in ((tenant_id, 1), (other_tenant_id, 0)):
        with database.tenant(tenant) as connection:
            named = {"tenant_id": tenant, "delivery_id": last.id}
            assert len(deliveries.attempts(connection, **named)) == count
            found = deliveries.find(connection, webhook_id=three.id, **named)
            assert (found is not None) == bool(count)
