"""Who goes next: a fair line of messages in each queue, decided at the last moment.

Start-time fair queueing (Goyal, Vin and Chen 1996): a tenant's turn costs it the
expected run time of the job divided by its weight, and the tenant that has paid least
goes first. Two lanes, normal and backfill, share a queue by the same rule. Slots in
use are counted from the jobs themselves, so none can leak.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class Message:
    """One outbox row: which attempt of which job goes to which queue.

    The tags say where the virtual clocks of its tenant and of its lane stand when it
    starts and when it has been paid for.
    """

    id: int
    job_id: str
    attempt: int
    type: str
    queue: str
    traceparent: str | None
    tenant_id: int
    lane: str
    starts: float
    ends: float
    lane_starts: float
    lane_ends: float


_UNCLAIMED = text("""
SELECT count(*) FROM jobs
WHERE queue = :queue AND state = 'queued' AND dispatched_at IS NOT NULL
""")

# Tenants are found by hopping through the index, not by reading every waiting row.
# A parent that waits for its parts holds no slot, or its parts would never start. A
# job costs a millisecond at least, or its tenant's turn would never end.
_TAKE = text("""
WITH RECURSIVE waiting AS (
    SELECT lane, (SELECT min(tenant_id) FROM outbox
        WHERE queue = :queue AND outbox.lane = lanes.lane AND admitted) AS tenant_id
    FROM (VALUES ('normal'), ('backfill')) AS lanes (lane)
    UNION ALL
    SELECT lane, (SELECT min(tenant_id) FROM outbox
        WHERE queue = :queue AND outbox.lane = waiting.lane AND admitted
            AND outbox.tenant_id > waiting.tenant_id)
    FROM waiting WHERE tenant_id IS NOT NULL
), flow AS (
    SELECT waiting.lane, waiting.tenant_id, coalesce(weight, 1) AS weight,
        greatest(coalesce(own.vtime, 0), coalesce(clock.vtime, 0)) AS begins,
        CASE WHEN max_running IS NULL THEN :limit ELSE greatest(0, max_running - (
            SELECT count(*) FROM jobs WHERE jobs.tenant_id = waiting.tenant_id
                AND queue = ANY(:queues) AND state = 'running'
                AND step IS DISTINCT FROM 'parts') - (
            SELECT count(*) FROM jobs WHERE jobs.tenant_id = waiting.tenant_id
                AND queue = ANY(:queues) AND state = 'queued'
                AND dispatched_at IS NOT NULL)) END AS slots,
        CASE WHEN starts_per_minute IS NULL THEN :limit ELSE floor(least(
            greatest(1, starts_per_minute / 10.0),
            coalesce(tokens, 1e9) + coalesce(extract(epoch FROM now() - tokens_at), 0)
                * starts_per_minute / 60)) END AS tokens
    FROM waiting
    LEFT JOIN tenant_limits USING (tenant_id)
    LEFT JOIN flows AS own ON own.queue = :queue AND own.lane = waiting.lane
        AND own.tenant_id = waiting.tenant_id
    LEFT JOIN flows AS clock ON clock.queue = :queue AND clock.lane = waiting.lane
        AND clock.tenant_id = 0
    WHERE waiting.tenant_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM queue_pauses
        WHERE queue_pauses.tenant_id = waiting.tenant_id
            AND queue_pauses.queue = :queue)
), head AS (
    SELECT flow.*, ahead.id, priority, greatest(coalesce(mean_s, 1), 0.001) AS cost
    FROM flow CROSS JOIN LATERAL (
        SELECT id, type, priority FROM outbox
        WHERE queue = :queue AND outbox.lane = flow.lane
            AND outbox.tenant_id = flow.tenant_id AND admitted
            AND available_at <= now()
        ORDER BY priority DESC, id
        LIMIT greatest(0, least(:limit, slots, flow.tokens))) AS ahead
    LEFT JOIN pace USING (type)
), tagged AS (
    SELECT *, begins + (sum(cost) OVER turns - cost) / weight AS starts,
        begins + sum(cost) OVER turns / weight AS ends
    FROM head
    WINDOW turns AS (PARTITION BY lane, tenant_id ORDER BY priority DESC, id)
), lanes AS (
    SELECT tagged.*, share, greatest(coalesce(own.vtime, 0), coalesce(clock.vtime, 0))
        AS lane_begins, sum(cost) OVER turns AS lane_cost
    FROM tagged
    JOIN (VALUES ('normal', 1 - :share), ('backfill', :share)) AS shares (lane, share)
        USING (lane)
    LEFT JOIN flows AS own ON own.queue = :queue AND own.lane = tagged.lane
        AND own.tenant_id = -1
    LEFT JOIN flows AS clock ON clock.queue = :queue AND clock.lane = 'queue'
        AND clock.tenant_id = 0
    WINDOW turns AS (PARTITION BY tagged.lane ORDER BY starts, tagged.id)
), ranked AS (
    SELECT *, lane_begins + (lane_cost - cost) / share AS lane_starts,
        lane_begins + lane_cost / share AS lane_ends
    FROM lanes
), numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY tenant_id ORDER BY lane_starts, starts, id) AS turn
    FROM ranked
), chosen AS (
    SELECT * FROM numbered WHERE turn <= least(slots, tokens)
    ORDER BY lane_starts, starts, id LIMIT :limit
)
SELECT outbox.id, job_id, attempt, type, queue, traceparent, outbox.tenant_id,
    outbox.lane, starts, ends, lane_starts, lane_ends
FROM outbox JOIN chosen ON outbox.id = chosen.id
ORDER BY lane_starts, starts, outbox.id
FOR UPDATE OF outbox SKIP LOCKED
""")

_ADVANCE = text("""
INSERT INTO flows (queue, lane, tenant_id, vtime)
SELECT :queue, lane, tenant_id, vtime
FROM json_to_recordset(CAST(:clocks AS json)) AS clock (
    lane text, tenant_id integer, vtime float)
ORDER BY 1, 2, 3
ON CONFLICT (queue, lane, tenant_id)
    DO UPDATE SET vtime = greatest(flows.vtime, excluded.vtime)
""")

_SPEND = text("""
UPDATE tenant_limits SET tokens_at = now(), tokens = least(
        greatest(1, starts_per_minute / 10.0),
        coalesce(tokens, 1e9) + coalesce(extract(epoch FROM now() - tokens_at), 0)
            * starts_per_minute / 60) - spent.starts
FROM (SELECT tenant_id, count(*) AS starts FROM unnest(CAST(:tenants AS integer[]))
    AS one (tenant_id) GROUP BY tenant_id) AS spent
WHERE tenant_limits.tenant_id = spent.tenant_id AND starts_per_minute IS NOT NULL
""")

_ADMIT = text("""
WITH RECURSIVE keyed AS (
    (SELECT tenant_id, concurrency_key FROM outbox WHERE NOT admitted
        ORDER BY tenant_id, concurrency_key LIMIT 1)
    UNION ALL
    SELECT following.* FROM keyed CROSS JOIN LATERAL (
        SELECT tenant_id, concurrency_key FROM outbox WHERE NOT admitted
            AND (outbox.tenant_id, outbox.concurrency_key)
                > (keyed.tenant_id, keyed.concurrency_key)
        ORDER BY tenant_id, concurrency_key LIMIT 1) AS following
), room AS (
    SELECT keyed.*, least(
        coalesce(concurrency_limit, 1) - (SELECT count(*) FROM jobs
            WHERE jobs.tenant_id = keyed.tenant_id AND state = 'running'
                AND jobs.concurrency_key = keyed.concurrency_key)
            - (SELECT count(*) FROM jobs
            WHERE jobs.tenant_id = keyed.tenant_id AND state = 'queued'
                AND jobs.concurrency_key = keyed.concurrency_key
                AND dispatched_at IS NOT NULL)
            - (SELECT count(*) FROM outbox
            WHERE outbox.tenant_id = keyed.tenant_id AND admitted
                AND outbox.concurrency_key = keyed.concurrency_key),
        coalesce(starts_per_minute - (SELECT count(*) FROM jobs
            WHERE jobs.tenant_id = keyed.tenant_id
                AND jobs.concurrency_key = keyed.concurrency_key
                AND dispatched_at > now() - interval '1 minute')
            - (SELECT count(*) FROM jobs
            WHERE jobs.tenant_id = keyed.tenant_id AND state = 'queued'
                AND jobs.concurrency_key = keyed.concurrency_key
                AND dispatched_at IS NULL
                AND started_at > now() - interval '1 minute')
            - (SELECT count(*) FROM outbox
            WHERE outbox.tenant_id = keyed.tenant_id AND admitted
                AND outbox.concurrency_key = keyed.concurrency_key), 1000000)) AS room
    FROM keyed CROSS JOIN LATERAL (
        SELECT jobs.concurrency_limit, jobs.starts_per_minute
        FROM outbox JOIN jobs ON jobs.id = outbox.job_id
        WHERE NOT admitted AND outbox.tenant_id = keyed.tenant_id
            AND outbox.concurrency_key = keyed.concurrency_key
        ORDER BY outbox.priority DESC, outbox.id LIMIT 1) AS head
), chosen AS (
    SELECT first.id FROM room CROSS JOIN LATERAL (
        SELECT id FROM outbox WHERE NOT admitted AND available_at <= now()
            AND outbox.tenant_id = room.tenant_id
            AND outbox.concurrency_key = room.concurrency_key
        ORDER BY priority DESC, id LIMIT greatest(0, room.room)) AS first
), locked AS (
    SELECT id FROM outbox WHERE id IN (SELECT id FROM chosen)
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox SET admitted = true FROM locked WHERE outbox.id = locked.id
RETURNING outbox.queue
""")
_KEYED = text("SELECT EXISTS (SELECT FROM outbox WHERE NOT admitted)")
_ALONE = text(
    "SELECT pg_try_advisory_xact_lock(hashtext('forebay_line'), hashtext(:q))"
)


def unclaimed(connection: Connection, *, queue: str) -> int:
    """Return how many jobs of a queue are published and not yet claimed."""
    counted: int = connection.execute(_UNCLAIMED, {"queue": queue}).scalar_one()
    return counted


def take(
    connection: Connection,
    *,
    queue: str,
    queues: Sequence[str],
    limit: int,
    share: float,
) -> list[Message]:
    """Lock and return the messages of a queue that go next, in their fair order.

    Args:
        connection: a system transaction; nobody else can take from the queue in it.
        queue: where there is room.
        queues: all queues; a tenant's limit counts its jobs in all of them.
        limit: how many messages may go.
        share: of the queue's work that backfills get when there is other work too.
    """
    if limit < 1 or not connection.scalar(_ALONE, {"q": queue}):
        return []
    rows = connection.execute(
        _TAKE,
        {"queue": queue, "queues": list(queues), "limit": limit, "share": share},
    )
    return [Message(**row._mapping) for row in rows]


def paid(connection: Connection, *, queue: str, sent: Sequence[Message]) -> None:
    """Move the virtual clocks on by what was sent, in the transaction that took it."""
    clocks: dict[tuple[str, int], float] = {}
    for one in sent:
        for flow, vtime in (
            ((one.lane, one.tenant_id), one.ends),
            ((one.lane, 0), one.starts),
            ((one.lane, -1), one.lane_ends),
            (("queue", 0), one.lane_starts),
        ):
            clocks[flow] = max(vtime, clocks.get(flow, 0.0))
    rows = [
        {"lane": lane, "tenant_id": tenant_id, "vtime": vtime}
        for (lane, tenant_id), vtime in clocks.items()
    ]
    connection.execute(
        _ADVANCE, {"queue": queue, "clocks": orjson.dumps(rows).decode()}
    )
    connection.execute(_SPEND, {"tenants": [one.tenant_id for one in sent]})


def admit(connection: Connection) -> tuple[set[str], bool]:
    """Let jobs with a concurrency key into the line as far as their key has room.

    Returns:
        The queues whose line grew, and whether keyed jobs still wait beside it.
    """
    if not connection.scalar(_KEYED):
        return set(), False
    if not connection.scalar(_ALONE, {"q": "keys"}):
        return set(), True
    grown = {row.queue for row in connection.execute(_ADMIT)}
    return grown, bool(connection.scalar(_KEYED))
