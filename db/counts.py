"""Numbers for metrics, counted from the tables, so that none can drift or leak.

However many jobs have ended, a count reads the live ones, through their partial index,
and those that ended lately, through the index of type and end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text

from db.processes import STALE_AFTER_S
from db.session import Connection

LATELY_MIN = 15
"""How many minutes back "lately" reaches."""

_LIVE = text("""
SELECT type, queue, state, count(*) AS total,
    count(*) FILTER (WHERE blocked) AS blocked,
    count(*) FILTER (WHERE state = 'queued' AND attempt > 1) AS retrying,
    count(*) FILTER (WHERE state = 'queued' AND reason = 'worker_lost') AS lost,
    coalesce(extract(epoch FROM now() - min(coalesce(started_at, created_at))
        FILTER (WHERE state = 'queued' AND NOT blocked)), 0)::float AS age_s
FROM jobs WHERE state IN ('queued', 'running')
GROUP BY type, queue, state ORDER BY type, queue, state
""")

# One hop through the index a type finds the types, so that none needs to be known.
_TYPES = """
WITH RECURSIVE types AS (
    SELECT min(type) AS type FROM jobs WHERE finished_at IS NOT NULL
    UNION ALL
    SELECT (SELECT min(type) FROM jobs
        WHERE finished_at IS NOT NULL AND jobs.type > types.type)
    FROM types WHERE type IS NOT NULL
)
"""
_ENDED = text(f"""
{_TYPES}
SELECT type, state, coalesce(reason, '') AS reason, count(*) AS total,
    sum(attempt - 1) AS extra_attempts
FROM jobs WHERE type = ANY(ARRAY(SELECT type FROM types))
    AND finished_at > now() - :lately * interval '1 minute'
GROUP BY type, state, reason ORDER BY type, state, reason
""")  # noqa: S608 - no value is spliced in, only our own fragment
_DURATIONS = text(f"""
{_TYPES}, spans AS (
    SELECT type,
        percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
            ORDER BY extract(epoch FROM finished_at - started_at)) AS run_s,
        percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
            ORDER BY extract(epoch FROM started_at - created_at)) AS wait_s
    FROM jobs WHERE type = ANY(ARRAY(SELECT type FROM types))
        AND state = 'succeeded'
        AND finished_at > now() - :lately * interval '1 minute'
    GROUP BY type
)
SELECT type, quantile, run_s[place] AS run_s, wait_s[place] AS wait_s
FROM spans CROSS JOIN unnest(ARRAY[0.5, 0.95]::float[])
    WITH ORDINALITY AS levels (quantile, place)
ORDER BY type, quantile
""")  # noqa: S608 - no value is spliced in, only our own fragment

# What a pause, a key or a limit holds back is late by somebody's wish.
_OUTBOX = text("""
SELECT queue, count(*) AS total,
    coalesce(extract(epoch FROM now() - min(available_at) FILTER (
        WHERE admitted AND paused_at IS NULL AND max_running IS NULL
            AND starts_per_minute IS NULL)), 0)::float AS age_s
FROM outbox LEFT JOIN queue_pauses USING (tenant_id, queue)
    LEFT JOIN tenant_limits USING (tenant_id)
WHERE available_at <= now() GROUP BY queue ORDER BY queue
""")
_PENDING = text("""
SELECT count(*) AS total,
    coalesce(extract(epoch FROM now() - min(next_attempt_at) FILTER (
        WHERE enabled AND next_attempt_at <= now())), 0)::float AS age_s
FROM webhook_deliveries JOIN webhooks ON webhooks.id = webhook_id
WHERE state = 'pending'
""")
_DELIVERED = text("""
SELECT state, count(*) AS total FROM webhook_deliveries
WHERE ended_at > now() - :lately * interval '1 minute' GROUP BY state
""")
# A channel is a webhook underneath; its deliveries are the messages of alerts.
_UNDELIVERED = text("""
SELECT state, count(*) AS total FROM (
    SELECT CASE WHEN attempts > 0 THEN 'retrying' ELSE state END AS state, webhook_id
    FROM webhook_deliveries WHERE state = 'pending'
    UNION ALL
    SELECT state, webhook_id FROM webhook_deliveries
    WHERE state = 'failed' AND ended_at > now() - :lately * interval '1 minute'
) AS one JOIN webhooks ON webhooks.id = webhook_id
WHERE channel IS NOT NULL GROUP BY state
""")
_INCIDENTS = text("""
SELECT severity, count(*) AS total FROM incidents WHERE state <> 'resolved'
GROUP BY severity
""")
_SILENT = text("""
SELECT role, count(*) AS total FROM processes
WHERE seen_at <= now() - :stale * interval '1 second'
    AND seen_at > now() - :lately * interval '1 minute'
GROUP BY role
""")


@dataclass(frozen=True)
class Live:
    """The queued or the running jobs of a type in a queue.

    ``age_s`` is the longest wait: since the submission, or since the last start.
    """

    type: str
    queue: str
    state: str
    total: int
    blocked: int
    retrying: int
    lost: int
    age_s: float


@dataclass(frozen=True)
class Ended:
    """The jobs of a type that ended lately in one way."""

    type: str
    state: str
    reason: str
    total: int
    extra_attempts: int


@dataclass(frozen=True)
class Duration:
    """A quantile of run time and wait of a type's jobs that succeeded lately."""

    type: str
    quantile: float
    run_s: float
    wait_s: float


@dataclass(frozen=True)
class Waiting:
    """The due outbox rows of a queue; the oldest that nothing holds back."""

    queue: str
    total: int
    age_s: float


@dataclass(frozen=True)
class Deliveries:
    """Webhook deliveries: pending now, ended lately, and how late the latest is."""

    totals: Mapping[str, int]
    due_s: float


@dataclass(frozen=True)
class Counts:
    """What the tables say right now; durations and ages in seconds.

    ``incidents`` are those that go on, by severity, ``undelivered`` the messages of
    alerts that did not arrive, by state.
    """

    live: list[Live]
    ended: list[Ended]
    durations: list[Duration]
    outbox: list[Waiting]
    deliveries: Deliveries
    silent: Mapping[str, int]
    incidents: Mapping[str, int]
    undelivered: Mapping[str, int]


def counts(connection: Connection) -> Counts:
    """Count the jobs of all tenants; needs a system connection."""
    return Counts(
        [Live(**row) for row in _rows(connection, _LIVE)],
        [Ended(**row) for row in _rows(connection, _ENDED, lately=LATELY_MIN)],
        [Duration(**row) for row in _rows(connection, _DURATIONS, lately=LATELY_MIN)],
        [Waiting(**row) for row in _rows(connection, _OUTBOX)],
        _deliveries(connection),
        _totals(connection, _SILENT, "role", stale=STALE_AFTER_S),
        _totals(connection, _INCIDENTS, "severity"),
        _totals(connection, _UNDELIVERED, "state"),
    )


def _deliveries(connection: Connection) -> Deliveries:
    (pending,) = _rows(connection, _PENDING)
    ended = _totals(connection, _DELIVERED, "state")
    return Deliveries({**ended, "pending": pending["total"]}, pending["age_s"])


def _totals(
    connection: Connection, query: TextClause, key: str, **values: Any
) -> dict[str, int]:
    found = _rows(connection, query, lately=LATELY_MIN, **values)
    return {row[key]: row["total"] for row in found}


def _rows(
    connection: Connection, query: TextClause, **values: Any
) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(query, values)]
