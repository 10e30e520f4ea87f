"""Deliveries are sent until they arrive, and never where they may not go."""

import json
import logging
import random
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from db import deliveries, webhooks
from tasks.webhooks import secret
from tests.db.patience import until
from tests.workers.receiver import Receiver, receiving
from tests.workers.world import World
from workers.deliverer import Deliverer

pytestmark = pytest.mark.servers


def test_an_event_is_delivered_and_the_official_library_verifies_it(
    world, receiver, settings
):
    webhook_id = world.webhook(receiver.url)
    job_id = world.tell()
    assert world.look() == 1
    (call,) = receiver.calls
    signed = secret(settings.secret_key, webhook_id=webhook_id, generation=1)
    told = Webhook(signed).verify(call.body, call.headers)
    assert told["type"] == "job.succeeded"
    assert told["data"]["id"] == job_id
    assert told["data"]["labels"] == {"a": "b"}
    assert told["data"]["links"]["self"] == f"/v1/jobs/{job_id}"
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["User-Agent"] == "forebay"
    done = world.only(webhook_id)
    assert done.id == call.headers["webhook-id"]
    assert (done.state, done.attempts, done.last_status) == ("delivered", 1, 204)
    assert done.body == told
    assert done.next_attempt_at is None
    assert world.log(done.id) == [(204, None)]
    assert world.look() == 0


def test_a_test_event_is_delivered(world, receiver):
    webhook_id = world.webhook(receiver.url)
    delivery_id = world.test(webhook_id)
    world.look()
    assert json.loads(receiver.calls[0].body)["type"] == "webhook.test"
    assert world.only(webhook_id).id == delivery_id


def test_after_a_rotation_both_secrets_verify(world, receiver, settings, database):
    webhook_id = world.webhook(receiver.url)
    with database.tenant(world.tenant_id) as connection:
        webhooks.rotate(connection, tenant_id=world.tenant_id, webhook_id=webhook_id)
    world.tell()
    world.look()
    (call,) = receiver.calls
    for generation in (1, 2):
        known = secret(
            settings.secret_key, webhook_id=webhook_id, generation=generation
        )
        assert Webhook(known).verify(call.body, call.headers)
    world.tell()
    world.now += timedelta(hours=24)
    world.look()
    assert len(receiver.calls[1].headers["webhook-signature"].split()) == 1


def test_a_failed_delivery_is_sent_again_over_a_day_and_then_no_more(world, receiver):
    webhook_id = world.webhook(receiver.url)
    world.tell()
    receiver.script = [(500, {})] * 20
    began, waits = world.now, []
    while True:
        assert world.look() == 1
        found = world.only(webhook_id)
        if found.next_attempt_at is None:
            break
        waits.append((found.next_attempt_at - world.now).total_seconds())
        world.now = found.next_attempt_at - timedelta(microseconds=1)
        assert world.look() == 0
        world.now = found.next_attempt_at
    assert waits == [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000, 36_000]
    assert (found.state, found.attempts, found.last_status) == ("failed", 9, 500)
    assert found.ended_at == world.now > began + timedelta(days=1)
    assert world.log(found.id) == [(500, "answered 500")] * 9
    assert len(set(receiver.ids())) == 1
    assert len({call.body for call in receiver.calls}) == 1
    assert len({call.headers["webhook-timestamp"] for call in receiver.calls}) == 9
    world.now += timedelta(days=2)
    assert world.look() == 0


def test_a_retry_may_succeed(world, receiver):
    webhook_id = world.webhook(receiver.url)
    world.tell()
    receiver.script = [(503, {}), (200, {})]
    world.look()
    world.now += timedelta(seconds=5)
    world.look()
    done = world.only(webhook_id)
    assert (done.state, done.attempts, done.last_error) == ("delivered", 2, None)
    assert world.log(done.id) == [(503, "answered 503"), (200, None)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(world, receiver, status):
    webhook_id = world.webhook(receiver.url)
    world.tell()
    receiver.script = [(status, {"Location": receiver.url + "/elsewhere"})]
    world.look()
    assert [call.path for call in receiver.calls] == ["/hook"]
    assert world.only(webhook_id).state == "pending"
    assert world.only(webhook_id).last_error == f"answered {status}"


def test_a_receiver_s_retry_after_is_heeded_up_to_an_hour(world, receiver):
    webhook_id = world.webhook(receiver.url)
    world.tell()
    receiver.script = [
        (429, {"Retry-After": "600"}),
        (503, {"Retry-After": "99999"}),
        (500, {"Retry-After": "99999"}),
    ]
    for wait_s in (600, 3_600, 1_800):
        world.look()
        due_at = world.only(webhook_id).next_attempt_at
        assert due_at == world.now + timedelta(seconds=wait_s)
        world.now = due_at


def test_what_was_sent_but_not_recorded_is_sent_again_under_the_same_id(
    world, receiver, monkeypatch, caplog
):
    webhook_id = world.webhook(receiver.url)
    world.tell()

    def crash(*_given, **_more):
        raise OSError("the machine went away")

    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "record", crash)
        world.look()
    assert "delivery interrupted: OSError" in caplog.text
    assert world.only(webhook_id).state == "pending"
    world.now += timedelta(seconds=59)
    assert world.look() == 0  # the lease holds
    world.now += timedelta(seconds=2)
    assert world.look() == 1
    first, second = receiver.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert world.only(webhook_id).state == "delivered"
    assert world.log(world.only(webhook_id).id) == [(204, None)]


def test_a_name_that_turns_private_after_its_webhook_was_made_is_refused(
    world, receiver
):
    world.addresses["turns.test"] = [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"]]
    webhook_id = world.webhook(f"http://turns.test:{receiver.port}/hook")
    world.tell()
    for attempt in (1, 2):
        world.look()
        found = world.only(webhook_id)
        assert (found.state, found.attempts) == ("pending", attempt)
        assert "private, local or reserved" in found.last_error
        world.now = found.next_attempt_at
    assert receiver.calls == []


def test_the_address_that_was_judged_is_the_one_that_is_called(world, receiver):
    # Whoever resolved a second time would find nobody.
    world.addresses["hook.test"] = [["127.0.0.1"]]
    webhook_id = world.webhook(f"http://hook.test:{receiver.port}/hook")
    world.tell()
    world.look()
    assert world.only(webhook_id).state == "delivered"
    assert receiver.calls[0].headers["Host"] == f"hook.test:{receiver.port}"
    assert world.addresses["hook.test"] == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.2/", "http://169.254.169.254/latest", "http://[::1]/"]
)
def test_no_address_of_our_own_network_is_called(world, url):
    webhook_id = world.webhook(url)
    world.tell()
    world.look()
    found = world.only(webhook_id)
    assert (found.state, found.last_status) == ("pending", None)
    assert "FOREBAY_WEBHOOK_HOSTS" in found.last_error


def test_a_receiver_that_does_not_answer_is_given_up_for_now(world, receiver):
    receiver.hold = threading.Event()
    world.deliverer.stop()
    world.deliverer = world.another(webhook_timeout_s=0.2)
    webhook_id = world.webhook(receiver.url)
    world.tell()
    world.look()
    receiver.hold.set()
    found = world.only(webhook_id)
    assert (found.state, found.last_error) == ("pending", "no answer within 0.2 s")


def test_a_webhook_gets_two_at_a_time_and_a_tenant_four(world, receiver):
    receiver.hold = threading.Event()
    slow = [world.webhook(receiver.url) for _ in range(3)]
    for _ in range(4):
        world.tell()
    assert world.deliverer.look() == 4
    until(lambda: len(receiver.calls) == 4)
    assert world.deliverer.look() == 0
    counts = [
        sum(one.webhook_id == webhook_id for one in world.deliverer.sending)
        for webhook_id in slow
    ]
    assert max(counts) == 2
    receiver.hold.set()
    until(lambda: not world.deliverer.sending)
    while world.look():
        pass
    assert len(receiver.calls) == len(set(receiver.ids())) == 12


def test_receivers_of_one_tenant_that_hang_do_not_hold_up_another_s(
    world, receiver, other_tenant_id
):
    receiver.hold = threading.Event()
    for _ in range(4):
        world.webhook(receiver.url)
    for _ in range(3):
        world.tell()
    assert world.deliverer.look() == 4
    with receiving() as quick:
        world.webhook(quick.url, tenant_id=other_tenant_id)
        world.tell(tenant_id=other_tenant_id)
        assert world.deliverer.look() == 1
        until(lambda: quick.calls)
        receiver.hold.set()
        until(lambda: not world.deliverer.sending)


def test_two_senders_never_send_the_same(world, receiver):
    webhook_ids = [world.webhook(receiver.url) for _ in range(5)]
    for _ in range(4):
        world.tell()
    other = world.another()
    while world.deliverer.look() + other.look():
        until(lambda: not (*world.deliverer.sending, *other.sending))
    other.stop()
    assert len(receiver.calls) == len(set(receiver.ids())) == 4 * len(webhook_ids)


def test_without_a_key_deliveries_wait_and_the_log_says_so(world, receiver, caplog):
    keyless = world.another(secret_key="")
    webhook_id = world.webhook(receiver.url)
    world.tell()
    keyless.start()
    assert "FOREBAY_SECRET_KEY is not set" in caplog.text
    assert keyless.look() == 0
    keyless.stop()
    found = world.only(webhook_id)
    assert (found.state, found.attempts) == ("pending", 0)
    world.look()
    assert world.only(webhook_id).state == "delivered"


def test_what_is_sent_again_by_hand_keeps_its_id(world, receiver):
    webhook_id = world.webhook(receiver.url)
    world.tell()
    world.look()
    delivery_id = world.only(webhook_id).id
    with world.database.tenant(world.tenant_id) as connection:
        deliveries.send_again(
            connection,
            tenant_id=world.tenant_id,
            webhook_id=webhook_id,
            delivery_id=delivery_id,
        )
    world.now = datetime.now(UTC)
    world.look()
    assert receiver.ids() == [delivery_id] * 2
    assert world.log(delivery_id) == [(204, None)] * 2


def test_it_sends_by_itself_until_it_is_stopped(database, settings, tenant_id):
    listed = replace(settings, webhook_hosts="127.0.0.1")
    world = World(database, listed, tenant_id)
    world.deliverer.stop()
    deliverer = Deliverer(database, listed)
    deliverer.start()
    with receiving() as receiver:
        world.webhook(receiver.url)
        for count in (1, 2):
            world.tell()
            until(lambda count=count: len(receiver.calls) == count)
        until(lambda: not deliverer.sending)
        deliverer.stop()
        world.tell()
        assert len(receiver.calls) == 2


def test_a_look_that_fails_is_not_the_last(database, settings, monkeypatch):
    deliverer = Deliverer(database, settings)
    looks = []

    def look() -> None:
        looks.append(None)
        raise OSError

    monkeypatch.setattr(deliverer, "look", look)
    monkeypatch.setattr("workers.deliverer._SWEEP_EVERY_S", 0.01)
    deliverer.start()
    until(lambda: len(looks) > 2)
    deliverer.stop()


def test_the_log_names_the_delivery_and_no_secret(
    world, receiver: Receiver, caplog, settings
):
    caplog.set_level(logging.DEBUG)
    token = f"token-{random.randrange(10**9)}"
    webhook_id = world.webhook(f"{receiver.url}?t={token}")
    receiver.script = [(500, {}), (200, {})]
    world.tell()
    world.look()
    world.now += timedelta(seconds=5)
    world.look()
    lines = [one for one in caplog.records if hasattr(one, "delivery_id")]
    assert [(one.getMessage(), one.status) for one in lines] == [
        ("webhook not delivered", 500),
        ("webhook delivered", 200),
    ]
    signed = secret(settings.secret_key, webhook_id=webhook_id, generation=1)
    told = caplog.text + "".join(str(vars(one)) for one in caplog.records)
    for hidden in (signed, signed.removeprefix("whsec_"), settings.secret_key, token):
        assert hidden not in told
    for call in receiver.calls:
        assert call.headers["webhook-signature"] not in told
