"""How long jobs of each type take, from what ran lately; kept for cheap estimates."""

from collections.abc import Sequence

from sqlalchemy import text

from db.session import Connection

_RECENT = 200

# What held a slot counts: whole jobs, parts and finishes. A parent of parts is left
# out: it waited for them, and counts its progress in parts.
_COMPUTE = text("""
INSERT INTO pace (type, jobs, mean_s, sd_s, unit_s, computed_at)
SELECT type, count(*), avg(run_s), coalesce(stddev_samp(run_s), 0),
    sum(run_s) FILTER (WHERE units > 0) / nullif(sum(units), 0), now()
FROM unnest(CAST(:types AS text[])) AS kind (type) CROSS JOIN LATERAL (
    SELECT extract(epoch FROM finished_at - started_at)::float AS run_s,
        CASE WHEN state = 'succeeded' THEN (progress ->> 'total')::float END AS units
    FROM jobs WHERE jobs.type = kind.type AND finished_at IS NOT NULL
        AND step IS DISTINCT FROM 'parts'
    ORDER BY finished_at DESC LIMIT :recent) AS lately
WHERE run_s >= 0
GROUP BY type
ON CONFLICT (type) DO UPDATE SET jobs = excluded.jobs, mean_s = excluded.mean_s,
    sd_s = excluded.sd_s, unit_s = excluded.unit_s, computed_at = excluded.computed_at
""")
_UNIT = text("SELECT unit_s FROM pace WHERE type = :type")


def compute(connection: Connection, *, types: Sequence[str]) -> None:
    """Renew the pace of each type from its latest ended jobs."""
    connection.execute(_COMPUTE, {"types": list(types), "recent": _RECENT})


def unit_s(connection: Connection, *, kind: str) -> float | None:
    """Return the seconds a unit of progress of a job type takes; None if unknown."""
    found: float | None = connection.scalar(_UNIT, {"type": kind})
    return found
