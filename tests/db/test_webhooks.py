"""Webhooks, and the deliveries that are made with the events they tell of."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db import deliveries, events, keys, webhooks
from db.deliveries import ENQUEUE, WEBHOOKS_CHANNEL, Due, Outcome, Room
from db.ids import new_id
from db.webhooks import NewWebhook, Webhook
from tests.db import rows
from tests.db.patience import until

pytestmark = pytest.mark.servers

KINDS = ["succeeded", "failed", "cancelled"]
ROOM = Room(limit=8, tenant=4, each=2)
_TELL = text(f"""
WITH event AS (
    INSERT INTO job_events (tenant_id, job_id, at, kind, body)
    SELECT tenant_id, id, now(), :kind, '{{"state": "x", "attempt": 1}}' FROM jobs
    WHERE id = :job RETURNING id, tenant_id, job_id, kind
), moved AS (SELECT id, parent_id FROM jobs WHERE id = :job
), {ENQUEUE}
SELECT id FROM event
""")


@pytest.fixture
def made(database, tenant_id):
    """Make a webhook: ``made(tenant_id=..., kinds=...)``."""

    def make(*, kinds=KINDS, most=20, tenant_id=tenant_id) -> Webhook | None:
        new = NewWebhook(new_id("whk"), "https://a.example/", list(kinds), "mine")
        with database.tenant(tenant_id) as connection:
            return webhooks.create(connection, tenant_id=tenant_id, new=new, most=most)

    return make


@pytest.fixture
def tell(database, tenant_id):
    """Let a new job have an event; returns the event's id."""

    def run(kind="succeeded", *, tenant_id=tenant_id) -> int:
        job_id = rows.queued(database, tenant_id)
        with database.system() as connection:
            return connection.scalar(_TELL, {"kind": kind, "job": job_id})

    return run


@pytest.fixture
def change(database, tenant_id):
    """Change fields of a webhook."""

    def run(webhook_id: str, **fields) -> Webhook | None:
        with database.tenant(tenant_id) as connection:
            return webhooks.change(
                connection, tenant_id=tenant_id, webhook_id=webhook_id, fields=fields
            )

    return run


@pytest.fixture
def claim(database):
    """Claim as a sender would."""

    def run(*, later_s=0.0, room=ROOM, busy=()) -> list[Due]:
        now = datetime.now(UTC) + timedelta(seconds=later_s)
        with database.system() as connection:
            return deliveries.claim(
                connection, now=now, room=room, busy=busy, lease_s=60
            )

    return run


@pytest.fixture
def record(database):
    """Record what became of an attempt."""

    def run(due: Due, **outcome) -> None:
        at = datetime.now(UTC)
        given = {"delivered": False, "at": at, "duration_ms": 1, "body": '{"a":1}'}
        with database.system() as connection:
            deliveries.record(connection, due=due, outcome=Outcome(**given | outcome))

    return run


@pytest.fixture
def backlog(database):
    """Let a webhook have many deliveries that have been due for some seconds."""

    def fill(webhook: Webhook, *, count: int, age_s: int) -> None:
        rows.change(
            database,
            "INSERT INTO webhook_deliveries (id, tenant_id, webhook_id, kind, body, "
            "state, attempts, next_attempt_at, created_at) "
            "SELECT 'whd_' || :webhook_id || lpad(CAST(i AS text), 6, '0'), "
            ":tenant_id, :webhook_id, 'test', '{}', 'pending', 0, "
            "now() - :age_s * interval '1 second', now() "
            "FROM generate_series(1, :count) AS i",
            webhook_id=webhook.id,
            tenant_id=webhook.tenant_id,
            count=count,
            age_s=age_s,
        )

    return fill


@pytest.fixture
def disable(database):
    """Disable a webhook as if nobody had looked at its deliveries."""

    def run(webhook: Webhook) -> None:
        rows.change(
            database,
            "UPDATE webhooks SET enabled = false WHERE id = :id",
            id=webhook.id,
        )

    return run


def waits_for_a_lock(database) -> bool:
    """Tell whether a session of this database waits for another."""
    return rows.owners_value(
        database,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()",
    )


def states(database) -> list[tuple]:
    with database.system() as connection:
        found = connection.execute(
            text("SELECT state, attempts FROM webhook_deliveries ORDER BY id")
        )
        return [tuple(row) for row in found]


def test_a_webhook_is_stored_and_found_by_its_tenant_alone(
    database, tenant_id, other_tenant_id, made
):
    webhook = made()
    assert (webhook.generation, webhook.enabled, webhook.events) == (1, True, KINDS)
    for tenant, found in ((tenant_id, webhook), (other_tenant_id, None)):
        with database.tenant(tenant) as connection:
            assert found == webhooks.find(
                connection, tenant_id=tenant, webhook_id=webhook.id
            )


def test_no_secret_is_in_any_column(database):
    with database.system() as connection:
        names = connection.scalars(
            text(
                "SELECT column_name FROM information_schema.columns "
                "WHERE table_name LIKE 'webhook%'"
            )
        ).all()
    assert len(names) > 20
    assert not [name for name in names if "secret" in name or "key" in name]


def test_a_tenant_has_no_more_webhooks_than_it_may(made, other_tenant_id):
    assert made(most=2)
    assert made(most=2)
    assert made(most=2) is None
    assert made(most=2, tenant_id=other_tenant_id)


def test_two_at_once_do_not_make_one_too_many(made):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(made(most=3))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in found) == 3


def test_pages_go_from_the_newest_to_the_oldest(database, tenant_id, made):
    ids = [made().id for _ in range(3)]
    with database.tenant(tenant_id) as connection:
        first = webhooks.page(connection, tenant_id=tenant_id, before=None, limit=2)
        rest = webhooks.page(
            connection, tenant_id=tenant_id, before=first[-1].id, limit=2
        )
    assert [one.id for one in first + rest] == ids[::-1]


def test_only_given_fields_change(made, change):
    webhook = made()
    changed = change(webhook.id, events=["running"], description="")
    assert (changed.events, changed.description) == (["running"], "")
    assert (changed.url, changed.enabled) == (webhook.url, True)
    assert changed.updated_at > webhook.updated_at
    assert change("whk_none", description="x") is None


def test_disabling_ends_what_is_pending_and_enabling_forgets_the_reason(
    database, made, change, tell
):
    webhook, other = made(), made()
    tell()
    disabled = change(webhook.id, enabled=False)
    assert (disabled.enabled, disabled.disabled_reason) == (
        False,
        "disabled by request",
    )
    assert sorted(states(database)) == [("failed", 0), ("pending", 0)]
    assert change(webhook.id, description="x").disabled_reason == "disabled by request"
    enabled = change(webhook.id, enabled=True)
    assert (enabled.enabled, enabled.disabled_reason) == (True, None)
    assert change(other.id, enabled=True).enabled


def test_a_rotation_counts_on_and_says_when(database, tenant_id, made):
    webhook = made()
    with database.tenant(tenant_id) as connection:
        found = webhooks.rotate(connection, tenant_id=tenant_id, webhook_id=webhook.id)
        nothing = webhooks.rotate(connection, tenant_id=tenant_id, webhook_id="x")
    assert (found.generation, found.rotated_at) == (2, found.updated_at)
    assert nothing is None


def test_deleting_takes_the_deliveries_along(
    database, tenant_id, made, tell, claim, record
):
    webhook = made()
    tell()
    record(*claim())
    with database.tenant(tenant_id) as connection:
        named = {"tenant_id": tenant_id, "webhook_id": webhook.id}
        assert webhooks.delete(connection, **named)
        assert not webhooks.delete(connection, **named)
    assert states(database) == []
    assert rows.value(database, "SELECT count(*) FROM webhook_attempts") == 0


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


def test_a_claim_reads_no_more_of_a_backlog_than_it_may_send(database, made, backlog):
    for _ in range(2):
        backlog(made(), count=500, age_s=100)
    given = {"now": datetime.now(UTC), "busy": "{}", "lease": 60, "limit": ROOM.limit}
    with database.system() as connection:
        (plan,) = connection.scalar(
            text(f"EXPLAIN (ANALYZE, FORMAT json) {deliveries._CLAIM}"),
            {**given, "tenant": ROOM.tenant, "each": ROOM.each},
        )
    read = [
        step["Actual Rows"] * step["Actual Loops"]
        for step in steps(plan["Plan"])
        if step.get("Relation Name") == "webhook_deliveries"
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


def test_disabling_fails_what_was_made_while_it_waited_for_the_webhook(
    database, made, change, tell
):
    webhook = made()
    done = []
    with database.system() as connection:
        connection.execute(text("SELECT id FROM webhooks FOR NO KEY UPDATE"))
        thread = threading.Thread(
            target=lambda: done.append(change(webhook.id, enabled=False))
        )
        thread.start()
        until(lambda: waits_for_a_lock(database))
        tell()
        assert done == []
    thread.join()
    assert not done[0].enabled
    assert states(database) == [("failed", 0)]


@pytest.fixture
def remove(database, tenant_id):
    """Delete a webhook."""

    def run(webhook_id: str) -> None:
        with database.tenant(tenant_id) as connection:
            webhooks.delete(connection, tenant_id=tenant_id, webhook_id=webhook_id)

    return run


@pytest.mark.parametrize("how", ["delete", "disable", "give up as well"])
def test_giving_up_on_a_webhook_that_another_is_about_to_end_is_no_deadlock(
    database, made, tell, claim, change, remove, how
):
    webhook = made()
    tell()
    tell()
    due, other = claim()
    ended = []

    def give_up(connection, one: Due) -> None:
        at = datetime.now(UTC)
        outcome = Outcome(delivered=False, at=at, duration_ms=1, body="{}", status=410)
        deliveries.record(connection, due=one, outcome=outcome)
        started.set()
        if one is due:
            until(lambda: waits_for_a_lock(database))
        deliveries.give_up(connection, webhook_id=webhook.id, reason="gone", now=at)

    def end() -> None:
        if how == "delete":
            remove(webhook.id)
        elif how == "disable":
            change(webhook.id, enabled=False)
        else:
            with database.system() as connection:
                give_up(connection, other)
        ended.append(how)

    started = threading.Event()
    with database.system() as connection:
        thread = threading.Thread(target=lambda: started.wait(30) and end())
        thread.start()
        give_up(connection, due)
    thread.join()
    assert ended == [how]
    left = {"delete": []}.get(how, [("failed", 1)] * 2)
    assert states(database) == left


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
