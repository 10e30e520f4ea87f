"""What both doors must agree on about webhooks: events, signatures, bodies, retries.

The format is Standard Webhooks 1.0.0; see docs/adr/0014-webhooks.md.
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

KINDS = ("running", "retrying", "succeeded", "failed", "cancelled")
"""Kinds of job events that a webhook may want, without the ``job.`` of the API."""

FOUND_KINDS = (
    *("drift.opened", "drift.closed", "freshness.changed"),
    *("difference.opened", "difference.closed"),
    *("ingest.succeeded", "ingest.partial", "ingest.failed"),
)
"""Kinds that tell what a job found; they are events of the job that saw it."""

INCIDENT_KINDS = ("incident.opened", "incident.updated", "incident.resolved")
"""Kinds that tell of an incident; they are events of no job."""

ALERT_KINDS = ("alert.opened", "alert.worse", "alert.resolved", "alert.test")
"""Kinds of what alert rules send through channels; they are no events."""

FINAL_KINDS = ("succeeded", "failed", "cancelled")
MOST_WEBHOOKS = 20
KEYLESS = (
    "FOREBAY_SECRET_KEY is not set: deliveries stay pending, and there are no secrets"
)
"""What both doors say where nothing can be signed."""


OVERLAP = timedelta(hours=24)
"""How long the secret before the latest rotation still signs."""

_MINUTE_S, _HOUR_S = 60.0, 3600.0
_DELAYS_S = (
    *(5.0, 5 * _MINUTE_S, 30 * _MINUTE_S, 2 * _HOUR_S, 5 * _HOUR_S),
    *(10 * _HOUR_S, 10 * _HOUR_S, 10 * _HOUR_S),
)
MOST_ATTEMPTS = len(_DELAYS_S) + 1
_JITTER = 0.2  # of a delay at most, so that what failed together is not sent together
_LONGEST_RETRY_AFTER_S = _HOUR_S
_THROTTLED = (429, 503)


def event_name(kind: str) -> str:
    """Return what the API and the body call a kind of event."""
    if kind in (*FOUND_KINDS, *INCIDENT_KINDS, *ALERT_KINDS):
        return kind
    return "webhook.test" if kind == "test" else f"job.{kind}"


def secret(key: str, *, webhook_id: str, generation: int) -> str:
    """Return a webhook's secret, which is kept nowhere: the key makes it anew."""
    message = f"webhook:{webhook_id}:{generation}"
    digest = hmac.digest(key.encode(), message.encode(), "sha256")
    return "whsec_" + base64.b64encode(digest).decode()


def secrets_at(
    key: str,
    *,
    webhook_id: str,
    generation: int,
    rotated_at: datetime | None,
    now: datetime,
) -> list[str]:
    """Return the secrets that sign at an instant, the newest first.

    Args:
        key: the platform's secret key.
        webhook_id: whose secrets.
        generation: 1 for the first secret, one more with each rotation.
        rotated_at: when the latest rotation was, aware, or None.
        now: the instant, aware.
    """
    generations = [generation]
    if rotated_at is not None and now < rotated_at + OVERLAP:
        generations.append(generation - 1)
    return [secret(key, webhook_id=webhook_id, generation=one) for one in generations]


def signed_headers(
    secrets: Sequence[str], *, delivery_id: str, at: datetime, body: bytes
) -> dict[str, str]:
    """Return the three headers of Standard Webhooks, with a signature a secret."""
    timestamp = str(int(at.timestamp()))
    content = b".".join((delivery_id.encode(), timestamp.encode(), body))
    signatures = (
        hmac.digest(base64.b64decode(one.removeprefix("whsec_")), content, "sha256")
        for one in secrets
    )
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(one).decode()}" for one in signatures
        ),
    }


def job_body(kind: str, event: Mapping[str, Any]) -> str:
    """Return the body that tells of an event, the same whenever it is asked for.

    The job's params and result are not in it: a receiver asks for them with a key.

    Args:
        kind: the kind of the event.
        event: ``id``, ``type``, ``labels`` of the job, if it is one's, ``at`` and
            ``body`` of the event, and ``error`` of the job where the event has none.
    """
    told, job = event["body"], f"/v1/jobs/{event['id']}"
    at = _utc(datetime.fromisoformat(event["at"]))
    if kind in INCIDENT_KINDS:
        data = {**told["incident"], "at": at}
        return _json({"type": event_name(kind), "timestamp": at, "data": data})
    if kind in FOUND_KINDS:
        data = {**told["finding"], "at": at}
        return _json({"type": event_name(kind), "timestamp": at, "data": data})
    return _json(
        {
            "type": event_name(kind),
            "timestamp": at,
            "data": {
                "id": event["id"],
                "type": event["type"],
                "state": told["state"],
                "reason": told.get("reason"),
                "error": told.get("error", event["error"]),
                "attempt": told["attempt"],
                "labels": event["labels"],
                "at": at,
                "links": {"self": job, "result": f"{job}/result"},
            },
        }
    )


def body_of_test(webhook_id: str, *, now: datetime) -> str:
    """Return the body of a test event."""
    return _json(
        {
            "type": event_name("test"),
            "timestamp": _utc(now),
            "data": {"webhook_id": webhook_id, "links": {"self": _link(webhook_id)}},
        }
    )


def retry_in_s(
    attempt: int, *, draw: float, retry_after_s: float | None = None
) -> float | None:
    """Return the seconds from a failed attempt to the next one; None for no other.

    Args:
        attempt: how many attempts there were, at least 1.
        draw: a random number in [0, 1) that spreads the attempts.
        retry_after_s: what the receiver asked for; up to an hour is granted.
    """
    if attempt >= MOST_ATTEMPTS:
        return None
    delay = _DELAYS_S[attempt - 1] * (1 + _JITTER * draw)
    return max(delay, min(retry_after_s or 0.0, _LONGEST_RETRY_AFTER_S))


def retry_after_s(status: int, header: str | None, *, now: datetime) -> float | None:
    """Return what a Retry-After header asks for, as seconds; None if it asks nothing.

    It is heeded from receivers that have too much to do: 429 and 503.
    """
    if status not in _THROTTLED or header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def _link(webhook_id: str) -> str:
    return f"/v1/webhooks/{webhook_id}"


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _json(body: dict[str, Any]) -> str:
    return orjson.dumps(body).decode()
