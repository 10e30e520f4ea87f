"""Alerts arrive as signed webhooks, as e-mail and in Slack; what does not is seen."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from standardwebhooks.webhooks import Webhook

from db import channels, deliveries, incident_cases, notifications, webhooks
from db.channels import NewChannel
from db.notifications import Notification, Wanted
from tasks import alerting, credentials
from tasks.credentials import keys_of
from tasks.webhooks import secret
from tests.db.rows import AT
from tests.workers.mailbox import mailbox
from tests.workers.receiver import certificate, speaking
from tests.workers.world import World

pytestmark = pytest.mark.servers

SENDER = {"from": "forebay@a.example", "to": ["desk@b.example", "ops@b.example"]}


@pytest.fixture
def world(database, settings, tenant_id):
    listed = replace(
        settings,
        webhook_hosts="127.0.0.1,mail.test,hook.test",
        credentials_key=Fernet.generate_key().decode(),
    )
    found = World(database, listed, tenant_id)
    yield found
    found.deliverer.stop()


@pytest.fixture
def plug(world, tenant_id):
    """Make a channel: ``plug("email", {...}, username="u", password="p")``."""

    def make(kind: str, config=None, **secrets: str) -> str:
        config = config or {}
        with world.database.tenant(tenant_id) as connection:
            if secrets:
                credentials.put(
                    connection,
                    tenant_id=tenant_id,
                    named=("mine", secrets),
                    keys=keys_of(world.settings),
                    now=AT,
                )
            new = NewChannel(
                kind, kind, config, "mine" if secrets else None, config.get("url", "")
            )
            return channels.create(
                connection, tenant_id=tenant_id, new=new, most=9, now=AT
            )

    return make


@pytest.fixture
def send(world, tenant_id):
    """Test a channel, let the deliverer look once, and return what is seen of it."""

    def run(channel_id: str) -> Notification:
        with world.database.tenant(tenant_id) as connection:
            through = channels.by_ids(connection, tenant_id=tenant_id, ids=[channel_id])
            alerting.fire_test(
                connection,
                tenant_id=tenant_id,
                rule=(None, "desk <load>"),
                through=through,
                now=AT,
            )
        return again()

    def again() -> Notification:
        world.look()
        with world.database.tenant(tenant_id) as connection:
            (seen,) = notifications.page(
                connection,
                tenant_id=tenant_id,
                wanted=Wanted(),
                before=None,
                limit=9,
            )
        return seen

    run.again = again
    return run


def test_a_webhook_is_signed_with_the_secret_of_its_channel(
    world, receiver, plug, send, settings
):
    channel_id = plug("webhook", {"url": receiver.url})
    seen = send(channel_id)
    assert (seen.state, seen.attempts, seen.channel) == ("delivered", 1, "webhook")
    (call,) = receiver.calls
    signed = secret(settings.secret_key, webhook_id=seen.webhook_id, generation=1)
    told = Webhook(signed).verify(call.body, call.headers)
    assert told["type"] == "alert.test"
    assert told["data"]["rule"] == "desk <load>"


def test_an_incident_is_told_to_a_plain_webhook_too(
    world, receiver, settings, tenant_id
):
    webhook_id = world.webhook(receiver.url)
    told = {"id": "inc_1", "state": "open"}
    with world.database.tenant(tenant_id) as connection:
        webhooks.change(
            connection,
            tenant_id=tenant_id,
            webhook_id=webhook_id,
            fields={"events": [incident_cases.OPENED]},
        )
        incident_cases.tell(
            connection,
            tenant_id=tenant_id,
            items=[
                {"kind": incident_cases.OPENED, "incident": told},
                {"kind": incident_cases.UPDATED, "incident": told},
            ],
        )
    world.now = max(world.now, datetime.now(UTC))
    assert world.look() == 1
    (call,) = receiver.calls
    signed = secret(settings.secret_key, webhook_id=webhook_id, generation=1)
    body = Webhook(signed).verify(call.body, call.headers)
    assert body["type"] == "incident.opened"
    assert body["data"] == {**told, "at": body["timestamp"]}
    assert world.only(webhook_id).job_id is None


def test_slack_is_posted_to_the_url_of_the_credential_which_is_kept_nowhere_else(
    world, receiver, plug, send, database
):
    seen = send(plug("slack", url=receiver.url))
    assert seen.state == "delivered"
    (call,) = receiver.calls
    told = json.loads(call.body)
    assert told["text"].endswith("Test of the alert rule desk &lt;load&gt;")
    assert [one["type"] for one in told["blocks"]] == ["header", "section"]
    assert "webhook-signature" not in call.headers
    with database.system() as connection:
        for table in ("webhooks", "channels", "webhook_deliveries", "notifications"):
            kept = connection.exec_driver_sql(f"SELECT t::text FROM {table} t")
            assert receiver.url not in "".join(row[0] for row in kept)


def test_an_e_mail_arrives_with_all_it_needs(world, plug, send):
    with mailbox() as box:
        config = {**SENDER, "host": "127.0.0.1", "port": box.port, "security": "none"}
        seen = send(plug("email", config))
    assert (seen.state, seen.last_error) == ("delivered", None)
    assert box.envelopes == [("forebay@a.example", SENDER["to"])]
    (got,) = box.messages
    assert got["From"] == "forebay@a.example"
    assert got["To"] == "desk@b.example, ops@b.example"
    assert got["Subject"] == "[Forebay] Test of the alert rule desk <load>"
    assert got["Message-ID"] == f"<{seen.delivery_id}@a.example>"
    assert "shows that the channel works" in got.get_content()
    assert [one.split()[0].upper() for one in box.said] == [
        *("EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT")
    ]


def test_a_password_goes_over_tls_only_whose_certificate_is_checked(
    world, plug, send, tmp_path
):
    server, client = certificate(tmp_path, "mail.test")
    for at_once, security in ((False, "starttls"), (True, "tls")):
        outside = replace(world.deliverer._outside, tls=client)
        world.deliverer._around = replace(world.deliverer._around, tls=outside.tls)
        world.addresses["mail.test"] = [["127.0.0.1"]]
        with mailbox(server, at_once=at_once) as box:
            box.users["u"] = "p"
            config = {**SENDER, "host": "mail.test", "port": box.port}
            channel_id = plug(
                "email", {**config, "security": security}, username="u", password="p"
            )
            seen = send(channel_id)
        assert (seen.state, seen.last_error) == ("delivered", None)
        assert "AUTH ..." in box.said
        assert ("STARTTLS" in box.said) is not at_once
        with world.database.tenant(world.tenant_id) as connection:
            channels.delete(
                connection, tenant_id=world.tenant_id, channel_id=channel_id
            )
            connection.exec_driver_sql("DELETE FROM notifications")


def test_a_server_without_tls_gets_no_password(world, plug, send):
    with mailbox() as box:
        box.users["u"] = "p"
        config = {**SENDER, "host": "127.0.0.1", "port": box.port}
        seen = send(plug("email", config, username="u", password="p"))
    assert seen.state == "failed"
    assert "STARTTLS" in seen.last_error
    assert not [one for one in box.said if one.startswith("AUTH")]
    assert box.messages == []


@pytest.mark.parametrize(
    ("script", "state", "error"),
    [
        (
            {"RCPT": "550 no such user"},
            "failed",
            "the server answered 550 no such user",
        ),
        ({"RCPT": "450 try later"}, "pending", "the server answered 450 try later"),
        ({"MAIL": "552 too much"}, "failed", "the server answered 552 too much"),
        ({"HELLO": "421 busy"}, "pending", "the server answered 421 busy"),
        ({"HELLO": "hello"}, "pending", "the answer is not SMTP"),
        ({"DATA": "554 spam"}, "failed", "the server answered 554 spam"),
    ],
)
def test_what_the_server_refuses_for_now_is_tried_again_and_for_good_is_not(
    world, plug, send, script, state, error
):
    with mailbox() as box:
        box.script.update(script)
        config = {**SENDER, "host": "127.0.0.1", "port": box.port, "security": "none"}
        seen = send(plug("email", config))
        assert (seen.state, seen.last_error, seen.attempts) == (state, error, 1)
        if state == "pending":
            box.script.clear()
            world.now += timedelta(seconds=5)
            assert send.again().state == "delivered"
            assert len(box.messages) == 1


def test_a_receiver_that_is_refused_is_seen_although_another_got_it(world, plug, send):
    with mailbox() as box:
        box.script["rcpt TO:<ops@b.example>"] = "550 gone"
        config = {**SENDER, "host": "127.0.0.1", "port": box.port, "security": "none"}
        seen = send(plug("email", config))
    assert (seen.state, seen.last_error) == (
        "failed",
        "the server answered 550 gone",
    )
    assert box.envelopes == [("forebay@a.example", ["desk@b.example"])]


def plain(box):
    return {**SENDER, "host": "127.0.0.1", "port": box.port, "security": "none"}


def resend(world, seen):
    with world.database.tenant(world.tenant_id) as connection:
        deliveries.send_again(
            connection,
            tenant_id=world.tenant_id,
            webhook_id=seen.webhook_id,
            delivery_id=seen.delivery_id,
        )


def test_who_has_got_it_is_not_sent_it_again(world, plug, send):
    with mailbox() as box:
        box.script["rcpt TO:<ops@b.example>"] = "450 not now"
        seen = send(plug("email", plain(box)))
        assert (seen.state, seen.last_error) == (
            "pending",
            "the server answered 450 not now",
        )
        box.script.clear()
        world.now += timedelta(seconds=5)
        seen = send.again()
        assert (seen.state, seen.last_error) == ("delivered", None)
        assert [to for _, to in box.envelopes] == [["desk@b.example"], SENDER["to"][1:]]
        first, second = box.messages
        assert first["To"] == second["To"] == "desk@b.example, ops@b.example"
        assert first["Message-ID"] == second["Message-ID"]
        assert first.get_content() == second.get_content()
        resend(world, seen)
        assert send.again().state == "delivered"
        assert box.envelopes[-1][1] == SENDER["to"]


def test_who_is_refused_for_good_keeps_nobody_else_from_getting_it(world, plug, send):
    with mailbox() as box:
        box.script["rcpt TO:<desk@b.example>"] = "550 gone"
        box.script["rcpt TO:<ops@b.example>"] = "451 busy"
        seen = send(plug("email", plain(box)))
        assert (seen.state, box.envelopes) == ("pending", [])
        del box.script["rcpt TO:<ops@b.example>"]
        world.now += timedelta(seconds=5)
        seen = send.again()
        assert (seen.state, seen.last_error) == (
            "failed",
            "the server answered 550 gone",
        )
        assert [to for _, to in box.envelopes] == [["ops@b.example"]]
        box.script.clear()
        resend(world, seen)
        assert send.again().state == "delivered"
        assert [to for _, to in box.envelopes] == [["ops@b.example"], SENDER["to"][:1]]


def test_a_server_that_hangs_up_is_tried_again(world, plug, send):
    def hang_up(line) -> None:
        line.sendall(b"220 hello\r\n")
        line.recv(100)

    with speaking(hang_up) as port:
        config = {**SENDER, "host": "127.0.0.1", "port": port, "security": "none"}
        seen = send(plug("email", config))
    assert (seen.state, seen.last_error) == (
        "pending",
        "the connection failed or broke",
    )


def test_a_password_that_smtp_cannot_say_is_seen(world, plug, send, tmp_path):
    server, client = certificate(tmp_path, "mail.test")
    world.deliverer._around = replace(world.deliverer._around, tls=client)
    world.addresses["mail.test"] = [["127.0.0.1"]]
    with mailbox(server) as box:
        box.users["u"] = "p"
        config = {**SENDER, "host": "mail.test", "port": box.port}
        seen = send(plug("email", config, username="u", password="p\u00e4ss"))
    told = "the user and the password have to be ASCII"
    assert (seen.state, seen.last_error) == ("pending", told)


def test_a_credential_that_lost_its_password_is_seen(world, plug, send):
    config = {**SENDER, "host": "127.0.0.1"}
    seen = send(plug("email", config, username="u"))
    told = "the credential has no username and password"
    assert (seen.state, seen.last_error) == ("pending", told)


def test_a_wrong_password_is_seen(world, plug, send, tmp_path):
    server, client = certificate(tmp_path, "mail.test")
    world.deliverer._around = replace(world.deliverer._around, tls=client)
    world.addresses["mail.test"] = [["127.0.0.1"]]
    with mailbox(server) as box:
        box.users["u"] = "other"
        config = {**SENDER, "host": "mail.test", "port": box.port}
        seen = send(plug("email", config, username="u", password="p"))
    assert (seen.state, seen.last_error) == (
        "failed",
        "the server answered 535 no such user or password",
    )


def test_no_channel_leads_into_the_network_of_the_platform(world, plug, send):
    world.addresses["inside.test"] = [["10.0.0.1"]] * 3
    for kind, config, secrets in (
        ("webhook", {"url": "http://inside.test/"}, {}),
        ("slack", {}, {"url": "http://inside.test/"}),
        ("email", {**SENDER, "host": "inside.test", "security": "none"}, {}),
    ):
        channel_id = plug(kind, config, **secrets)
        seen = send(channel_id)
        assert seen.state == "pending"
        assert "private, local or reserved" in seen.last_error
        with world.database.tenant(world.tenant_id) as connection:
            channels.delete(
                connection, tenant_id=world.tenant_id, channel_id=channel_id
            )
            connection.exec_driver_sql("DELETE FROM notifications")


def test_a_server_that_is_away_or_silent_is_tried_again(world, plug, send):
    with mailbox() as box:
        port = box.port
    config = {**SENDER, "host": "127.0.0.1", "port": port, "security": "none"}
    seen = send(plug("email", config))
    assert (seen.state, seen.last_error) == ("pending", "the connection was refused")
    assert seen.next_attempt_at > world.now


def test_a_credential_that_is_gone_is_said_and_its_return_heals(
    world, plug, send, receiver, tenant_id
):
    channel_id = plug("slack", url=receiver.url)
    with world.database.tenant(tenant_id) as connection:
        connection.exec_driver_sql("DELETE FROM credentials")
    seen = send(channel_id)
    assert (seen.state, receiver.calls) == ("pending", [])
    assert "no credential 'mine'" in seen.last_error
    with world.database.tenant(tenant_id) as connection:
        credentials.put(
            connection,
            tenant_id=tenant_id,
            named=("mine", {"url": receiver.url}),
            keys=keys_of(world.settings),
            now=AT,
        )
    world.now += timedelta(seconds=5)
    assert send.again().state == "delivered"
