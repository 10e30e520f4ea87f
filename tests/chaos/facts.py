"""All that the audit looks at, read once when the platform has come to rest."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tests.chaos.load import Told
from tests.chaos.streams import Seen

Row = dict[str, Any]

_TABLES = (
    "jobs",
    "job_results",
    "outbox",
    "analyses",
    "ingest_runs",
    "idempotency_keys",
    "job_dependencies",
    "schedule_firings",
    "uploads",
)
_EVENTS = "SELECT id, job_id, kind, body FROM job_events ORDER BY id"
_FORECASTS = """
SELECT job_id, series.key, count(ts) AS points FROM forecasts
JOIN series ON series.id = series_id
LEFT JOIN forecast_points ON forecast_id = forecasts.id
GROUP BY forecasts.id, series.key
"""
_OBSERVATIONS = """
SELECT key, ts, value, run_id,
    (SELECT count(*) FROM obs_version v WHERE v.series_id = c.series_id AND v.ts = c.ts)
        AS versions
FROM obs_current c JOIN series ON series.id = series_id
WHERE key LIKE 'chaos.uploaded.%'
"""
_HELD = """
SELECT pid, application_name || ': ' || coalesce(query, '') AS what
FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%'
    AND state_change < now() - interval '3 seconds'
UNION ALL
SELECT pid, 'advisory lock' FROM pg_locks
WHERE locktype = 'advisory' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass
class Facts:
    """The tables, the broker's queues, the folder of uploads, and what clients saw."""

    told: Told
    tables: dict[str, list[Row]] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    forecasts: list[Row] = field(default_factory=list)
    observations: list[Row] = field(default_factory=list)
    held: list[Row] = field(default_factory=list)
    queues: dict[str, tuple[int, int]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    streams: dict[str, list[Seen]] = field(default_factory=dict)
    feed: list[tuple[str, str]] = field(default_factory=list)
    held_requests: int = 0

    def rows(self, table: str) -> list[Row]:
        """Return the rows of a table."""
        return self.tables.get(table, [])

    def jobs(self) -> dict[str, Row]:
        """Return the jobs by id."""
        return {row["id"]: row for row in self.rows("jobs")}

    def by_job(self, rows: Iterable[Row]) -> dict[str, list[Row]]:
        """Return rows by their job, in the order they came."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            found[row["job_id"]].append(row)
        return found


def read(database_url: str, told: Told) -> Facts:
    """Read the tables of a platform at rest."""
    facts = Facts(told)
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.execute("SET timezone = 'UTC'")
        for table in _TABLES:
            query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))
            facts.tables[table] = connection.execute(query).fetchall()
        facts.events = connection.execute(_EVENTS).fetchall()
        facts.forecasts = connection.execute(_FORECASTS).fetchall()
        facts.observations = connection.execute(_OBSERVATIONS).fetchall()
        facts.held = connection.execute(_HELD).fetchall()
    return facts


def files_below(folder: Path) -> list[str]:
    """Return the names of all files below a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
