"""Where a queued job stands: what holds it up, its place, and when it may start.

Everything is read from the tables at the moment of asking; nothing is kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from db import dependencies
from db.jobs import Job
from db.session import Connection

SILENT_AFTER_S = 4.0
"""A worker that has said nothing for so long is not counted on."""

_P90 = 1.2816  # standard normal quantile


@dataclass(frozen=True)
class Place:
    """A queued job's place; ``position`` counts the jobs that go before it.

    ``blocked_by`` is dependency, paused, no_worker, retry_delay, concurrency_key,
    tenant_limit or rate_limit; None means that it only waits for its turn.
    """

    position: int | None = None
    blocked_by: str | None = None
    waits_for: list[str] = field(default_factory=list)
    not_before: datetime | None = None
    estimated_start: datetime | None = None
    estimated_start_p90: datetime | None = None


_FACTS = text("""
SELECT now() AS now,
    EXISTS (SELECT FROM queue_pauses
        WHERE tenant_id = :tenant_id AND queue = :queue) AS paused,
    (SELECT coalesce(sum((detail ->> 'slots')::int), 0) FROM processes
        WHERE role = 'worker' AND :queue = ANY(queues)
            AND seen_at > now() - :silent * interval '1 second') AS slots,
    message.id AS message_id, message.available_at, message.admitted, message.lane,
    limits.max_running, limits.starts_per_minute, coalesce(limits.weight, 1) AS weight,
    least(greatest(1, limits.starts_per_minute / 10.0),
        coalesce(tokens, 1e9) + coalesce(extract(epoch FROM now() - tokens_at), 0)
            * limits.starts_per_minute / 60) AS tokens,
    CASE WHEN limits.max_running IS NOT NULL THEN (SELECT count(*) FROM jobs
        WHERE tenant_id = :tenant_id AND (
            (state = 'running' AND step IS DISTINCT FROM 'parts')
            OR (state = 'queued' AND dispatched_at IS NOT NULL))) END AS in_use,
    CASE WHEN NOT message.admitted THEN (SELECT count(*) FROM jobs
        WHERE tenant_id = :tenant_id AND concurrency_key = :key
            AND (state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL)))
        + (SELECT count(*) FROM outbox AS first WHERE first.tenant_id = :tenant_id
            AND first.admitted AND first.concurrency_key = :key)
        END AS key_in_use
FROM (SELECT 1) AS one
LEFT JOIN outbox AS message ON message.job_id = :job_id
    AND message.attempt = :attempt
LEFT JOIN tenant_limits AS limits ON limits.tenant_id = :tenant_id
""")

# By the fair rule every other tenant gets its weight's worth of turns for each of ours.
_AHEAD = text("""
WITH RECURSIVE mine AS (
    SELECT count(*) AS jobs FROM outbox WHERE queue = :queue AND lane = :lane
        AND tenant_id = :tenant_id AND admitted
        AND (priority > :priority OR (priority = :priority AND id < :message_id))
), waiting AS (
    SELECT min(tenant_id) AS tenant_id FROM outbox
    WHERE queue = :queue AND lane = :lane AND admitted
    UNION ALL
    SELECT (SELECT min(tenant_id) FROM outbox WHERE queue = :queue AND lane = :lane
        AND admitted AND outbox.tenant_id > waiting.tenant_id)
    FROM waiting WHERE tenant_id IS NOT NULL
), others AS (
    SELECT coalesce(sum((SELECT count(*) FROM (
        SELECT FROM outbox WHERE queue = :queue AND lane = :lane AND admitted
            AND outbox.tenant_id = waiting.tenant_id
        LIMIT ceil((mine.jobs + 1) * coalesce(limits.weight, 1) / :weight)::bigint
        ) AS first)), 0) AS jobs
    FROM waiting CROSS JOIN mine
    LEFT JOIN tenant_limits AS limits USING (tenant_id)
    WHERE waiting.tenant_id IS NOT NULL AND waiting.tenant_id <> :tenant_id
)
SELECT mine.jobs + others.jobs + (SELECT count(*) FROM jobs WHERE queue = :queue
    AND state = 'queued' AND dispatched_at IS NOT NULL AND id <> :job_id)
FROM mine, others
""")

_WORK = text("""
SELECT coalesce((SELECT avg(coalesce(mean_s, 1)) FROM (
        SELECT type FROM outbox WHERE queue = :queue AND admitted LIMIT 200) AS sample
        LEFT JOIN pace USING (type)), 1) AS mean_s,
    coalesce((SELECT max(sd_s) FROM (
        SELECT type FROM outbox WHERE queue = :queue AND admitted LIMIT 200) AS sample
        JOIN pace USING (type)), 0) AS sd_s,
    (SELECT coalesce(sum(greatest(0.1 * coalesce(mean_s, 1), coalesce(mean_s, 1)
            - extract(epoch FROM now() - started_at))), 0)
        FROM jobs LEFT JOIN pace USING (type)
        WHERE queue = :queue AND state = 'running' AND step IS DISTINCT FROM 'parts')
        AS running_s
""")


@dataclass(frozen=True)
class Load:
    """How full a queue is with one tenant's jobs; the slots are everybody's."""

    queue: str
    queued: int
    running: int
    slots: int


_LOADS = text("""
SELECT queue, (SELECT count(*) FROM jobs WHERE tenant_id = :tenant_id
        AND jobs.queue = one.queue AND state = 'queued') AS queued,
    (SELECT count(*) FROM jobs WHERE tenant_id = :tenant_id
        AND jobs.queue = one.queue AND state = 'running') AS running,
    (SELECT coalesce(sum((detail ->> 'slots')::int), 0) FROM processes
        WHERE role = 'worker' AND one.queue = ANY(queues)
            AND seen_at > now() - :silent * interval '1 second') AS slots
FROM unnest(CAST(:queues AS text[])) WITH ORDINALITY AS one (queue, n) ORDER BY n
""")


def loads(
    connection: Connection, *, tenant_id: int, queues: Sequence[str]
) -> list[Load]:
    """Return how full each queue is; needs a system connection."""
    rows = connection.execute(
        _LOADS,
        {"tenant_id": tenant_id, "queues": list(queues), "silent": SILENT_AFTER_S},
    )
    return [Load(**row._mapping) for row in rows]


def of_job(connection: Connection, *, job: Job) -> Place:
    """Return the place of a queued job; needs a system connection.

    The line is shared between tenants, so another tenant's jobs count, and no more
    of them is told than how many go first.
    """
    if job.blocked:
        waits_for = dependencies.after(connection, job_id=job.id, unended=True)
        return Place(blocked_by="dependency", waits_for=waits_for)
    facts = connection.execute(
        _FACTS,
        {
            "tenant_id": job.tenant_id,
            "queue": job.queue,
            "job_id": job.id,
            "attempt": job.attempt,
            "key": job.concurrency_key,
            "silent": SILENT_AFTER_S,
        },
    ).one()
    blocked_by = _blocked_by(job, facts)
    if blocked_by == "retry_delay":
        return Place(blocked_by=blocked_by, not_before=facts.available_at)
    ahead = 0 if facts.message_id is None else _ahead(connection, job, facts)
    if blocked_by is not None or not facts.slots:
        return Place(position=ahead, blocked_by=blocked_by)
    start, p90 = _estimate(connection, job, facts, ahead)
    return Place(position=ahead, estimated_start=start, estimated_start_p90=p90)


def _blocked_by(job: Job, facts: Any) -> str | None:
    waiting = facts.message_id is not None
    checks = (
        ("paused", waiting and facts.paused),
        ("no_worker", not facts.slots),
        ("retry_delay", waiting and facts.available_at > facts.now),
        ("rate_limit", waiting and not facts.admitted and _key_is_free(job, facts)),
        ("concurrency_key", waiting and not facts.admitted),
        ("tenant_limit", waiting and _full(facts.in_use, facts.max_running)),
        ("rate_limit", waiting and facts.tokens is not None and facts.tokens < 1),
    )
    return next((name for name, holds in checks if holds), None)


def _key_is_free(job: Job, facts: Any) -> bool:
    in_use = facts.key_in_use or 0
    return job.starts_per_minute is not None and in_use < (job.concurrency_limit or 1)


def _full(in_use: int | None, most: int | None) -> bool:
    return most is not None and in_use is not None and in_use >= most


def _ahead(connection: Connection, job: Job, facts: Any) -> int:
    counted: int = connection.execute(
        _AHEAD,
        {
            "queue": job.queue,
            "lane": facts.lane,
            "tenant_id": job.tenant_id,
            "priority": job.priority,
            "message_id": facts.message_id,
            "weight": facts.weight,
            "job_id": job.id,
        },
    ).scalar_one()
    return int(counted)


def _estimate(
    connection: Connection, job: Job, facts: Any, ahead: int
) -> tuple[datetime, datetime]:
    """Spread the work ahead over the slots; runs are taken as independent."""
    work = connection.execute(_WORK, {"queue": job.queue}).one()
    slots, now = float(facts.slots), facts.now
    wait_s = (ahead * float(work.mean_s) + float(work.running_s)) / slots
    spread_s = _P90 * math.sqrt(ahead + 1) * float(work.sd_s) / slots
    return (
        now + timedelta(seconds=wait_s),
        now + timedelta(seconds=wait_s + spread_s),
    )
