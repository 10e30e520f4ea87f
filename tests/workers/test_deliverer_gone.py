"""What is gone is not told, and receivers that are gone are told nothing."""

from datetime import timedelta

import pytest

from db import webhooks
from tests.db import rows

pytestmark = pytest.mark.servers


def test_gone_disables_the_webhook_and_gives_up_what_was_on_its_way(world, receiver):
    webhook_id, other = world.webhook(receiver.url), world.webhook(receiver.url)
    receiver.script = [(500, {}), (500, {})]
    world.tell()
    world.look()
    world.now += timedelta(minutes=1)
    receiver.script = [(410, {}), (410, {})]
    rows.change(
        world.database,
        "UPDATE webhook_deliveries SET next_attempt_at = next_attempt_at + "
        "interval '1 hour' WHERE webhook_id = :other",
        other=other,
    )
    world.tell()
    rows.change(
        world.database,
        "DELETE FROM webhook_deliveries WHERE webhook_id = :other AND attempts = 0",
        other=other,
    )
    world.look()
    with world.database.tenant(world.tenant_id) as connection:
        found = webhooks.find(
            connection, tenant_id=world.tenant_id, webhook_id=webhook_id
        )
    assert not found.enabled
    assert found.disabled_reason == "the receiver answered 410 Gone"
    assert {one.state for one in world.of(webhook_id)} == {"failed"}
    assert world.only(other).state == "pending"
    sent = len(receiver.calls)
    world.tell()
    assert len(world.of(webhook_id)) == 2
    world.look()
    assert len(receiver.calls) == sent + 1  # to the other one


@pytest.mark.parametrize("gone", ["job_events", "outbox, job_events, jobs"])
def test_what_can_no_longer_be_told_is_failed_and_not_claimed_again(
    world, receiver, gone
):
    webhook_id = world.webhook(receiver.url)
    world.tell()
    for table in gone.split(", "):
        rows.change(world.database, f"DELETE FROM {table}")
    assert world.look() == 1
    found = world.only(webhook_id)
    assert (found.state, found.attempts, found.body) == ("failed", 1, {})
    assert found.last_error == "the job it tells of is gone"
    assert world.log(found.id) == [(None, "the job it tells of is gone")]
    world.now += timedelta(days=1)
    assert world.look() == 0
    assert receiver.calls == []


def test_what_was_sent_once_is_sent_again_although_its_job_is_gone(world, receiver):
    webhook_id = world.webhook(receiver.url)
    world.tell()
    receiver.script = [(500, {})]
    world.look()
    rows.change(world.database, "DELETE FROM job_events")
    world.now += timedelta(seconds=5)
    world.look()
    assert world.only(webhook_id).state == "delivered"
    first, second = receiver.calls
    assert first.body == second.body
