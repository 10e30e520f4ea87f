"""Webhooks: whose they are, and what ends with them."""

import threading

import pytest
from sqlalchemy import text

from db import webhooks
from tests.db import rows
from tests.db.hooks import KINDS, states, waits_for_a_lock
from tests.db.patience import until

pytestmark = pytest.mark.servers


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
