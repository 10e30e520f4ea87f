"""A history: finished jobs with results and events, written straight into the tables.

A million jobs through the platform would take hours and leave the same rows.
"""

from collections.abc import Sequence

import psycopg

# Ids are UUIDv7 in shape, so they sort by age as real ones do. The shares are prime
# to the number of tenants and types, so every tenant has some of each.
_JOBS = """
INSERT INTO jobs (id, tenant_id, type, queue, state, reason, params, labels, priority,
    timeout_s, attempt, max_attempts, error, worker, progress, version, created_at,
    dispatched_at, started_at, finished_at, lane, concurrency_key, concurrency_limit)
SELECT 'job_' || lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
        || '7' || substr(hash, 1, 3) || 'a' || substr(hash, 4, 15),
    (%(tenants)s::integer[])[1 + number %% %(tenant_count)s::integer],
    (ARRAY['system.echo', 'forecast.run', 'analysis.run'])[kind],
    (ARRAY['system', 'forecast', 'analysis'])[kind], state,
    CASE state WHEN 'failed' THEN 'error' WHEN 'cancelled' THEN 'cancelled_by_user' END,
    '{"payload": {"text": "The quick brown fox", "number": 42}, "duration_s": 0}',
    '{"team": "grid"}', number %% 10, 3600, 1, 3,
    CASE state WHEN 'failed' THEN '{"title": "it broke"}'::json END,
    'worker-0', '{"done": 1, "total": 1, "unit": "steps"}', 4, at,
    at + interval '5 ms', at + interval '10 ms',
    at + interval '20 ms' + number %% 200 * interval '10 ms', 'normal',
    CASE WHEN number %% 9 = 0 THEN 'key ' || number %% 1000 END, 1
FROM (
    SELECT number, md5(number::text) AS hash,
        now() - (1 - number::float / %(jobs)s::integer) * %(days)s::float
            * interval '1 day' AS at,
        CASE WHEN number %% 17 = 7 THEN 'failed' WHEN number %% 41 = 3 THEN 'cancelled'
            ELSE 'succeeded' END AS state,
        1 + number %% 3 AS kind
    FROM generate_series(%(first)s::integer, %(last)s::integer) AS number
) AS made
"""
_RESULTS = """
INSERT INTO job_results (job_id, tenant_id, attempt, body, created_at)
SELECT id, tenant_id, 1, json_build_object('payload', repeat('a result ', 30)),
    finished_at
FROM jobs WHERE state = 'succeeded'
"""
_EVENTS = """
INSERT INTO job_events (tenant_id, job_id, at, kind, body)
SELECT tenant_id, id, at, kind, json_build_object('state', kind, 'attempt', 1)
FROM jobs CROSS JOIN LATERAL (VALUES (1, created_at, 'queued'),
    (2, started_at, 'running'), (3, finished_at, state)) AS event (number, at, kind)
WHERE finished_at IS NOT NULL ORDER BY id, number
"""
_AT_ONCE = 100_000


def fill(
    database_url: str, *, jobs: int, tenant_ids: Sequence[int], days: float
) -> None:
    """Insert ended jobs of several tenants and types, as old as ``days`` at most.

    Args:
        database_url: a migrated database without jobs; the URL's role owns the tables.
        jobs: how many; each has a result where it succeeded, and three events.
        tenant_ids: whose they are, in turn.
        days: how far back the oldest reaches; the ages are spread evenly.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        # The rows are consistent by making: nine million look-ups less.
        connection.execute("SET session_replication_role = replica")
        for first in range(1, jobs + 1, _AT_ONCE):
            connection.execute(
                _JOBS,
                {
                    "jobs": jobs,
                    "first": first,
                    "last": min(jobs, first + _AT_ONCE - 1),
                    "days": days,
                    "tenants": list(tenant_ids),
                    "tenant_count": len(tenant_ids),
                },
            )
        connection.execute(_RESULTS)
        connection.execute(_EVENTS)
        connection.execute("VACUUM (ANALYZE)")
