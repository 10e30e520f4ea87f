"""Webhook deliveries: made with the event they tell of, sent until they arrive."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.session import Connection

WEBHOOKS_CHANNEL = "forebay_webhooks"

# The id is a UUIDv7 like those of db/ids.py, so that a list by id is one by age. The
# lock keeps a webhook that is being deleted from failing the job's own statement.
ENQUEUE = """
delivery AS (
    INSERT INTO webhook_deliveries (id, tenant_id, webhook_id, event_id, job_id, kind,
        body, state, attempts, next_attempt_at, created_at)
    SELECT 'whd_' || lpad(to_hex(CAST(
            extract(epoch FROM clock_timestamp()) * 1000 AS bigint)), 12, '0')
            || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14),
        event.tenant_id, webhooks.id, event.id, event.job_id, event.kind, '{}',
        'pending', 0, clock_timestamp(), clock_timestamp()
    FROM event JOIN moved ON moved.id = event.job_id AND moved.parent_id IS NULL
    JOIN webhooks ON webhooks.tenant_id = event.tenant_id
        AND webhooks.enabled AND event.kind = ANY(webhooks.events)
    FOR KEY SHARE OF webhooks
    RETURNING pg_notify('forebay_webhooks', '')
)
"""
"""A CTE for the statement that writes events; it reads ``event`` and ``moved``.

Of a job in parts, the whole job alone is told of.
"""
_OF_JOB = " JOIN moved ON moved.id = event.job_id AND moved.parent_id IS NULL"
ENQUEUE_LOOSE = ENQUEUE.replace(_OF_JOB, "")
"""The same for events that are no job's; it reads ``event`` alone."""


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one webhook; ``body`` is empty until it is first sent."""

    id: str
    webhook_id: str
    job_id: str | None
    kind: str
    body: dict[str, Any]
    state: str
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Attempt:
    """One try to send a delivery: what was answered, or why nothing was."""

    at: datetime
    status: int | None
    error: str | None
    duration_ms: int


@dataclass(frozen=True)
class Due:
    """A delivery to be sent now, with its webhook and what it tells of.

    ``body`` is the text that was sent before, or None. ``event`` is the event's body
    with ``id``, ``type``, ``labels`` and ``at`` of the job and the event, or None where
    either is gone. ``channel`` is the kind of the channel that the webhook leads to,
    with its ``config`` and the name of its ``credential``; None for a plain one.
    """

    id: str
    tenant_id: int
    webhook_id: str
    kind: str
    attempt: int
    url: str
    generation: int
    rotated_at: datetime | None
    body: str | None
    event: dict[str, Any] | None
    channel: str | None = None
    config: dict[str, Any] | None = None
    credential: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of an attempt; without ``next_attempt_at`` there is no other."""

    delivered: bool
    at: datetime
    duration_ms: int
    body: str
    status: int | None = None
    error: str | None = None
    next_attempt_at: datetime | None = None


_COLUMNS = (
    "id, webhook_id, job_id, kind, body, state, attempts, next_attempt_at, "
    "last_status, last_error, created_at, ended_at"
)
# What is being sent already counts into the places of its webhook and of its tenant,
# so that receivers that do not answer cannot take every thread. Whose turn it is goes
# before who has waited longest: a backlog, however old, holds up its owner alone. The
# webhooks are found by leaps through ix_webhook_deliveries_due, and no more is read of
# each than it may be sent, so that a backlog costs nothing. Some more than are taken
# come next, because another process may have them in its hands.
_CLAIM = text("""
WITH RECURSIVE busy AS (SELECT CAST(:busy AS jsonb) AS counts
), waiting AS (
    SELECT min(webhook_id) AS webhook_id FROM webhook_deliveries
    WHERE state = 'pending'
    UNION ALL
    SELECT (SELECT min(d.webhook_id) FROM webhook_deliveries AS d
        WHERE d.state = 'pending' AND d.webhook_id > waiting.webhook_id)
    FROM waiting WHERE waiting.webhook_id IS NOT NULL
), line AS (
    SELECT first.id, webhooks.tenant_id, next_attempt_at, row_number() OVER (
            PARTITION BY webhooks.id ORDER BY next_attempt_at, first.id)
        + coalesce(CAST(counts ->> webhooks.id AS integer), 0) AS place
    FROM busy, waiting JOIN webhooks ON webhooks.id = waiting.webhook_id
    CROSS JOIN LATERAL (
        SELECT d.id, d.next_attempt_at FROM webhook_deliveries AS d
        WHERE d.webhook_id = webhooks.id AND d.state = 'pending'
            AND d.next_attempt_at <= :now
        ORDER BY d.next_attempt_at, d.id LIMIT :each) AS first
    WHERE webhooks.enabled
), fair AS (
    SELECT id, next_attempt_at, row_number() OVER (
            PARTITION BY tenant_id ORDER BY place, next_attempt_at, id)
        + coalesce(CAST(counts ->> CAST(tenant_id AS text) AS integer), 0) AS place
    FROM busy, line WHERE place <= :each
), next AS (
    SELECT id, place FROM fair WHERE place <= :tenant
    ORDER BY place, next_attempt_at, id LIMIT 4 * :limit
), taken AS (
    SELECT d.id FROM webhook_deliveries AS d JOIN next ON next.id = d.id
    WHERE d.id = ANY(ARRAY(SELECT id FROM next))
        AND d.state = 'pending' AND d.next_attempt_at <= :now
    ORDER BY next.place, d.next_attempt_at, d.id LIMIT :limit
    FOR UPDATE OF d SKIP LOCKED
), claimed AS (
    UPDATE webhook_deliveries AS d SET attempts = d.attempts + 1,
        next_attempt_at = CAST(:now AS timestamptz) + :lease * interval '1 second'
    FROM taken WHERE d.id = taken.id RETURNING d.*
)
SELECT claimed.id, claimed.tenant_id, claimed.webhook_id, claimed.kind,
    claimed.attempts AS attempt, url, generation, rotated_at,
    nullif(CAST(claimed.body AS text), '{}') AS body,
    CASE WHEN job_events.id IS NOT NULL
        AND (jobs.id IS NOT NULL OR job_events.job_id IS NULL) THEN
        json_build_object('id', jobs.id, 'type', jobs.type, 'labels', jobs.labels,
            'at', job_events.at, 'body', job_events.body,
            'error', CASE WHEN jobs.state = claimed.kind THEN jobs.error END)
    END AS event, webhooks.channel, channels.config, channels.credential
FROM claimed JOIN webhooks ON webhooks.id = claimed.webhook_id
LEFT JOIN channels ON channels.webhook_id = webhooks.id
LEFT JOIN jobs ON jobs.id = claimed.job_id
LEFT JOIN job_events ON job_events.id = claimed.event_id
ORDER BY claimed.created_at, claimed.id
""")
# An event may be written, or a delivery asked for, while its webhook is being disabled.
# A look fails some of them, and never waits for what others have in their hands.
_STRANDED = text("""
WITH stranded AS (
    SELECT one.id FROM webhooks CROSS JOIN LATERAL (
        SELECT d.id FROM webhook_deliveries AS d
        WHERE d.webhook_id = webhooks.id AND d.state = 'pending'
        ORDER BY d.next_attempt_at, d.id LIMIT 1000 FOR UPDATE SKIP LOCKED) AS one
    WHERE NOT webhooks.enabled
)
UPDATE webhook_deliveries AS d SET state = 'failed', next_attempt_at = NULL,
    last_error = 'the webhook was disabled', ended_at = :now
FROM stranded WHERE d.id = stranded.id AND d.state = 'pending'
""")
# Whoever disables or deletes a webhook locks it before its deliveries; so must whoever
# fails a delivery and may then disable the webhook, or each waits for the other.
_HOLD = text("SELECT FROM webhooks WHERE id = :webhook_id FOR NO KEY UPDATE")
# A success counts whoever tells it. A failure of an attempt that was overtaken, after
# its lease ran out, does not: the younger attempt will tell what became of it.
_RECORD = text("""
WITH told AS (
    INSERT INTO webhook_attempts (tenant_id, delivery_id, at, status, error,
        duration_ms)
    SELECT tenant_id, id, CAST(:at AS timestamptz), CAST(:status AS integer),
        CAST(:error AS text), :duration_ms
    FROM webhook_deliveries WHERE id = :id
)
UPDATE webhook_deliveries SET body = CAST(:body AS json), state = :state,
    next_attempt_at = :next_attempt_at, last_status = :status, last_error = :error,
    ended_at = CASE WHEN :state = 'pending' THEN NULL
        ELSE CAST(:ended_at AS timestamptz) END
WHERE id = :id AND (:state = 'delivered'
    OR (state = 'pending' AND attempts = :attempt))
""")
_GONE = text("""
WITH webhook AS (
    UPDATE webhooks SET enabled = false, disabled_reason = :reason, updated_at = now()
    WHERE id = :id AND enabled
)
UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL,
    last_error = :reason, ended_at = :now
WHERE webhook_id = :id AND state = 'pending'
""")
_TEST = text("""
INSERT INTO webhook_deliveries (id, tenant_id, webhook_id, kind, body, state,
    attempts, next_attempt_at, created_at)
VALUES (:id, :tenant_id, :webhook_id, 'test', CAST(:body AS json), 'pending', 0,
    now(), now())
RETURNING pg_notify('forebay_webhooks', '')
""")
_AGAIN = text("""
UPDATE webhook_deliveries SET state = 'pending', next_attempt_at = now(),
    ended_at = NULL
WHERE id = :id AND webhook_id = :webhook_id AND tenant_id = :tenant_id
RETURNING pg_notify('forebay_webhooks', '')
""")
_FIND = text(f"""
SELECT {_COLUMNS} FROM webhook_deliveries
WHERE id = :id AND webhook_id = :webhook_id AND tenant_id = :tenant_id
""")  # noqa: S608 - no value is spliced in, only our own list of columns
_PAGE = text(f"""
SELECT {_COLUMNS} FROM webhook_deliveries
WHERE webhook_id = :webhook_id AND tenant_id = :tenant_id
    AND (CAST(:state AS text) IS NULL OR state = :state)
    AND (CAST(:before AS text) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")  # noqa: S608 - no value is spliced in, only our own list of columns
_ATTEMPTS = text("""
SELECT at, status, error, duration_ms FROM webhook_attempts
WHERE delivery_id = :id AND tenant_id = :tenant_id ORDER BY id
""")


@dataclass(frozen=True)
class Room:
    """How many deliveries may be sent: in all, of one tenant, to one webhook."""

    limit: int
    tenant: int
    each: int


def claim(
    connection: Connection,
    *,
    now: datetime,
    room: Room,
    busy: Sequence[Due],
    lease_s: float,
) -> list[Due]:
    """Take due deliveries, in turns of their tenants; each is due again at lease end.

    What waits for a webhook that is disabled is failed.

    Args:
        connection: a system transaction; commit it before anything is sent.
        now: what is due by then, and from when on the lease runs.
        room: how many to take; counts what ``busy`` names.
        busy: what this process is sending already.
        lease_s: seconds after which it is sent again unless recorded before.
    """
    connection.execute(_STRANDED, {"now": now})
    counts = Counter(one.webhook_id for one in busy)
    counts.update(str(one.tenant_id) for one in busy)
    rows = connection.execute(
        _CLAIM,
        {
            "now": now,
            "busy": orjson.dumps(counts).decode(),
            "limit": room.limit - len(busy),
            "tenant": room.tenant,
            "each": room.each,
            "lease": lease_s,
        },
    )
    return [Due(**row._mapping) for row in rows]


def record(connection: Connection, *, due: Due, outcome: Outcome) -> None:
    """Write an attempt into the log, and what it means for its delivery.

    After a failure for good the webhook is locked until the commit, for ``give_up``.
    """
    state = "pending" if outcome.next_attempt_at else "failed"
    if state == "failed" and not outcome.delivered:
        connection.execute(_HOLD, {"webhook_id": due.webhook_id})
    connection.execute(
        _RECORD,
        {
            "id": due.id,
            "attempt": due.attempt,
            "state": "delivered" if outcome.delivered else state,
            "at": outcome.at,
            "ended_at": outcome.at,
            "status": outcome.status,
            "error": outcome.error,
            "duration_ms": outcome.duration_ms,
            "body": outcome.body,
            "next_attempt_at": outcome.next_attempt_at,
        },
    )


def give_up(
    connection: Connection, *, webhook_id: str, reason: str, now: datetime
) -> None:
    """Disable a webhook and fail what was on its way to it."""
    connection.execute(_HOLD, {"webhook_id": webhook_id})
    connection.execute(_GONE, {"id": webhook_id, "reason": reason, "now": now})


def add_test(
    connection: Connection,
    *,
    tenant_id: int,
    webhook_id: str,
    delivery_id: str,
    body: str,
) -> None:
    """Put a delivery into the line that tells of no job."""
    connection.execute(
        _TEST,
        {
            "id": delivery_id,
            "tenant_id": tenant_id,
            "webhook_id": webhook_id,
            "body": body,
        },
    )


def send_again(
    connection: Connection, *, tenant_id: int, webhook_id: str, delivery_id: str
) -> None:
    """Make a delivery due now, whatever became of it before."""
    connection.execute(
        _AGAIN, {"id": delivery_id, "webhook_id": webhook_id, "tenant_id": tenant_id}
    )


def find(
    connection: Connection, *, tenant_id: int, webhook_id: str, delivery_id: str
) -> Delivery | None:
    """Return a delivery of the tenant's webhook, or None."""
    row = connection.execute(
        _FIND, {"id": delivery_id, "webhook_id": webhook_id, "tenant_id": tenant_id}
    ).first()
    return None if row is None else Delivery(**row._mapping)


def page(
    connection: Connection,
    *,
    tenant_id: int,
    webhook_id: str,
    state: str | None,
    before: str | None,
    limit: int,
) -> list[Delivery]:
    """Return up to ``limit`` deliveries older than the id ``before``, newest first."""
    rows = connection.execute(
        _PAGE,
        {
            "tenant_id": tenant_id,
            "webhook_id": webhook_id,
            "state": state,
            "before": before,
            "limit": limit,
        },
    )
    return [Delivery(**row._mapping) for row in rows]


def attempts(
    connection: Connection, *, tenant_id: int, delivery_id: str
) -> list[Attempt]:
    """Return the log of a delivery, the first attempt first."""
    rows = connection.execute(_ATTEMPTS, {"id": delivery_id, "tenant_id": tenant_id})
    return [Attempt(**row._mapping) for row in rows]
