"""Numbers for metrics, counted from the tables, so that none can drift or leak."""

from dataclasses import dataclass

from sqlalchemy import text

from db.session import Connection

_JOBS = text("SELECT type, state, count(*) FROM jobs GROUP BY type, state")
_OLDEST = text("""
SELECT queue, extract(epoch FROM now() - min(created_at)) FROM jobs
WHERE state = 'queued' GROUP BY queue
""")
_RECENT = text("""
SELECT type, level,
    percentile_cont(level) WITHIN GROUP (
        ORDER BY extract(epoch FROM finished_at - started_at)) AS run_s,
    percentile_cont(level) WITHIN GROUP (
        ORDER BY extract(epoch FROM started_at - created_at)) AS wait_s
FROM jobs, unnest(ARRAY[0.5, 0.95]) AS level
WHERE state = 'succeeded' AND finished_at > now() - interval '15 minutes'
GROUP BY type, level
""")
_OUTBOX = text("""
SELECT count(*), coalesce(extract(epoch FROM now() - min(available_at)), 0)
FROM outbox WHERE available_at <= now()
""")


@dataclass(frozen=True)
class Counts:
    """What the tables say about the jobs right now; durations in seconds."""

    jobs: list[tuple[str, str, int]]
    oldest_queued_s: list[tuple[str, float]]
    durations: list[tuple[str, float, float, float]]
    outbox: tuple[int, float]


def counts(connection: Connection) -> Counts:
    """Count the jobs of all tenants; needs a system connection."""
    total, age = connection.execute(_OUTBOX).one()
    return Counts(
        [(row[0], row[1], row[2]) for row in connection.execute(_JOBS)],
        [(row[0], float(row[1])) for row in connection.execute(_OLDEST)],
        [
            (row[0], float(row[1]), float(row[2]), float(row[3]))
            for row in connection.execute(_RECENT)
        ],
        (total, float(age)),
    )
