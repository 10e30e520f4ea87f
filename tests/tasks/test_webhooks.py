"""Events, signatures, bodies and retries, as Standard Webhooks has them."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tasks import webhooks

KEY = "a platform's key"
NOW = datetime(2026, 3, 1, 12, 0, 0, 700_000, tzinfo=UTC)
EVENT = {
    "id": "job_1",
    "type": "system.echo",
    "labels": {"team": "load"},
    "at": "2026-03-01T13:00:00.25+01:00",
    "body": {"state": "succeeded", "attempt": 2},
    "error": None,
}


def secret(generation: int = 1, *, webhook_id: str = "whk_1", key: str = KEY) -> str:
    return webhooks.secret(key, webhook_id=webhook_id, generation=generation)


def sign(body: bytes, *secrets: str, at: datetime = NOW) -> dict[str, str]:
    return webhooks.signed_headers(secrets, delivery_id="whd_1", at=at, body=body)


def test_a_secret_is_made_of_the_key_the_webhook_and_the_generation():
    secrets = {
        secret(),
        secret(2),
        secret(webhook_id="whk_2"),
        secret(key="another"),
    }
    assert len(secrets) == 4
    assert secret() == secret()
    for one in secrets:
        assert one.startswith("whsec_")
        assert 24 <= len(base64.b64decode(one.removeprefix("whsec_"))) <= 64


def test_the_signature_is_that_of_the_specification():
    body = b'{"type": "x"}'
    headers = sign(body, secret())
    key = base64.b64decode(secret().removeprefix("whsec_"))
    timestamp = "1772366400"
    content = b"whd_1." + timestamp.encode() + b"." + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    assert headers == {
        "webhook-id": "whd_1",
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def test_the_example_of_the_official_library_has_the_same_signature():
    body, at = '{"test": 2432232314}', datetime.fromtimestamp(1614265330, tz=UTC)
    known = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    theirs = Webhook(known).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, body)
    ours = webhooks.signed_headers(
        [known], delivery_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=at, body=body.encode()
    )
    assert ours["webhook-signature"] == theirs
    assert theirs == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_the_official_library_verifies_any_body(content):
    body = json.dumps(content).encode()
    headers = sign(body, secret(), at=datetime.now(UTC))
    assert Webhook(secret()).verify(body, headers) == content
    with pytest.raises(WebhookVerificationError):
        Webhook(secret(2)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret()).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret()).verify(body, {**headers, "webhook-id": "whd_2"})


def test_after_a_rotation_either_secret_verifies_for_a_day():
    def valid(now: datetime, *, rotated_at: datetime | None = NOW) -> list[str]:
        return webhooks.secrets_at(
            KEY, webhook_id="whk_1", generation=2, rotated_at=rotated_at, now=now
        )

    both = [secret(2), secret(1)]
    assert valid(NOW) == valid(NOW + timedelta(hours=23, minutes=59)) == both
    assert valid(NOW + timedelta(hours=24)) == [secret(2)]
    assert valid(NOW, rotated_at=None) == [secret(2)]
    headers = sign(b"{}", *both, at=datetime.now(UTC))
    for one in both:
        assert Webhook(one).verify(b"{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret(3)).verify(b"{}", headers)


def test_a_body_tells_of_the_event_and_not_of_params_and_result():
    found = json.loads(webhooks.job_body("succeeded", EVENT))
    assert found == {
        "type": "job.succeeded",
        "timestamp": "2026-03-01T12:00:00.250000Z",
        "data": {
            "id": "job_1",
            "type": "system.echo",
            "state": "succeeded",
            "reason": None,
            "error": None,
            "attempt": 2,
            "labels": {"team": "load"},
            "at": "2026-03-01T12:00:00.250000Z",
            "links": {"self": "/v1/jobs/job_1", "result": "/v1/jobs/job_1/result"},
        },
    }


def test_a_body_has_the_error_of_the_event_before_that_of_the_job():
    told = {"state": "failed", "reason": "timeout", "attempt": 1}
    of_job = {**EVENT, "body": told, "error": {"title": "of the job"}}
    found = json.loads(webhooks.job_body("failed", of_job))["data"]
    assert (found["reason"], found["error"]) == ("timeout", {"title": "of the job"})
    of_event = {**of_job, "body": {**told, "error": {"title": "of the event"}}}
    found = json.loads(webhooks.job_body("failed", of_event))["data"]
    assert found["error"] == {"title": "of the event"}


def test_a_body_about_drift_tells_of_the_finding():
    told = {"finding": {"id": "drf_1", "unique_id": "load", "kind": "input"}}
    found = json.loads(webhooks.job_body("drift.opened", {**EVENT, "body": told}))
    assert found == {
        "type": "drift.opened",
        "timestamp": "2026-03-01T12:00:00.250000Z",
        "data": {**told["finding"], "at": "2026-03-01T12:00:00.250000Z"},
    }


def test_a_test_event_says_that_it_is_one():
    offset = NOW.astimezone(timezone(timedelta(hours=2)))
    found = json.loads(webhooks.body_of_test("whk_1", now=offset))
    assert (found["type"], found["timestamp"]) == (
        "webhook.test",
        "2026-03-01T12:00:00.700000Z",
    )
    assert found["data"]["webhook_id"] == "whk_1"


def test_retries_go_on_for_more_than_a_day_and_end():
    delays = [webhooks.retry_in_s(attempt, draw=0) for attempt in range(1, 9)]
    assert delays == [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000, 36_000]
    assert webhooks.MOST_ATTEMPTS == 9
    for attempt in (9, 10, 100):
        assert webhooks.retry_in_s(attempt, draw=0, retry_after_s=60) is None


@settings(deadline=None)
@given(st.integers(1, 8), st.floats(0, 1, exclude_max=True))
def test_jitter_delays_by_up_to_a_fifth(attempt, draw):
    plain = webhooks.retry_in_s(attempt, draw=0)
    assert plain <= webhooks.retry_in_s(attempt, draw=draw) <= plain * 1.2
    assert webhooks.retry_in_s(attempt, draw=0.5) == pytest.approx(plain * 1.1)


def test_a_receiver_may_ask_for_more_time_up_to_an_hour():
    def wait(attempt: int, asked: float | None) -> float | None:
        return webhooks.retry_in_s(attempt, draw=0, retry_after_s=asked)

    assert wait(1, 120) == 120
    assert wait(1, 1) == wait(1, None) == 5
    assert wait(1, 1e9) == 3_600
    assert wait(4, 3_600) == 7_200


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "120", 120),
        (503, "0", 0),
        (503, "9" * 400, 999_999_999),
        (503, format_datetime(NOW + timedelta(seconds=90), usegmt=False), 89.3),
        (503, "Sun, 01 Mar 2026 12:01:30 -0000", 89.3),
        (429, "Sun, 01 Mar 2026 11:00:00 GMT", 0),
        (429, None, None),
        (429, "soon", None),
        (429, "-1", None),
        (429, "\u0663", None),
        (500, "120", None),
        (200, "120", None),
    ],
)
def test_retry_after_is_heeded_from_whom_has_too_much_to_do(status, header, seconds):
    found = webhooks.retry_after_s(status, header, now=NOW)
    assert found == (seconds if seconds is None else pytest.approx(seconds))
