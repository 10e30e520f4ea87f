"""Rows that tests start from, and short ways to look at them."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from db import attempts, events, jobs
from db.ids import new_id
from db.jobs import Job, NewJob
from db.session import Connection, Database
from db.tables import metadata

LEASE_S = 60.0
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

_SAMPLES: dict[type[sa.types.TypeEngine[Any]], Any] = {
    sa.Text: "text",
    sa.LargeBinary: b"bytes",
    sa.DateTime: AT,
    sa.Integer: 1,
    sa.Float: 1.5,
    sa.Boolean: True,
    sa.JSON: {},
    ARRAY: [],
}
# What check constraints ask for; a schedule has a cron or an interval.
_CHECKED: dict[str, Any] = {
    "state": "queued",
    "lane": "normal",
    "step": None,
    "outcome": "fired",
    "overlap": "queue",
    "on_failure": "cancel",
    "every_s": None,
    "parent_id": None,
    "stage": "challenger",
    "act": "promote",
    "freshness": "fresh",
    "severity": "low",
    "min_severity": "low",
    "occasion": "test",
    "label": "true",
    "end_at": datetime(2026, 3, 1, 13, tzinfo=UTC),
    "channel": None,
}


def new_job(**changes: Any) -> NewJob:
    """A job that a tenant might submit."""
    return NewJob(
        **{
            "id": new_id("job"),
            "type": "system.echo",
            "queue": "system",
            "params": {"payload": {}},
            "labels": {},
            "priority": 5,
            "timeout_s": 60,
            "max_attempts": 3,
            **changes,
        }
    )


def queued(database: Database, tenant_id: int, **changes: Any) -> str:
    """Submit a job; return its id."""
    new = new_job(**changes)
    with database.tenant(tenant_id) as connection:
        jobs.submit(connection, tenant_id=tenant_id, new_jobs=[new])
    return new.id


def running(database: Database, tenant_id: int, **changes: Any) -> str:
    """Submit a job and claim it; return its id."""
    job_id = queued(database, tenant_id, **changes)
    assert claim(database, job_id) is not None
    return job_id


def claim(database: Database, job_id: str, attempt: int = 1) -> Job | None:
    """Claim an attempt of a job."""
    with database.system() as connection:
        return attempts.claim(
            connection, job_id=job_id, attempt=attempt, worker="w", lease_s=LEASE_S
        )


def finish(
    database: Database,
    job_id: str,
    *,
    attempt: int = 1,
    state: str = "succeeded",
    **end: Any,
) -> None:
    """End a running attempt."""
    with database.system() as connection:
        attempts.finish(
            connection,
            job_id=job_id,
            attempt=attempt,
            end=attempts.End(state, **end),
        )


def give_back(
    database: Database, job_id: str, *, attempt: int = 1, delay_s: float = 0
) -> str | None:
    """Give a running attempt back as lost; return the state after."""
    with database.system() as connection:
        return attempts.give_back(
            connection,
            job_id=job_id,
            attempt=attempt,
            end=attempts.End("failed", "lost", {"title": "lost"}),
            pause=attempts.Pause(delay_s=delay_s),
        )


def job(database: Database, tenant_id: int, job_id: str) -> Job:
    """The job as it is now."""
    with database.tenant(tenant_id) as connection:
        found = jobs.find(connection, tenant_id=tenant_id, job_id=job_id)
    assert found is not None
    return found


def history(database: Database, tenant_id: int, job_id: str) -> list[str]:
    """The kinds of the job's events, oldest first."""
    with database.tenant(tenant_id) as connection:
        found = events.after(connection, tenant_id=tenant_id, job_id=job_id, event_id=0)
    ids = [event.id for event in found]
    assert ids == sorted(set(ids))
    return [event.kind for event in found]


def series(database: Database, tenant_id: int, key: str = "load") -> int:
    """Create a series without observations; return its number."""
    with database.tenant(tenant_id) as connection:
        made = connection.scalar(
            sa.text(
                "INSERT INTO series (tenant_id, key, title, timezone, tags, "
                "created_at, updated_at) VALUES (:tenant_id, :key, :key, 'UTC', '{}', "
                "now(), now()) RETURNING id"
            ),
            {"tenant_id": tenant_id, "key": key},
        )
    return int(made)


def value(database: Database, query: str, **parameters: Any) -> Any:
    """The first value of a query that sees all tenants."""
    with database.system() as connection:
        return connection.scalar(sa.text(query), parameters)


def owners_value(database: Database, query: str) -> Any:
    """The first value of a query of the login role, who sees other sessions too."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def change(database: Database, statement: str, **parameters: Any) -> int:
    """Run a statement that sees all tenants; return how many rows it touched."""
    with database.system() as connection:
        return connection.execute(sa.text(statement), parameters).rowcount


def fill(connection: Connection, *, tenant_id: int) -> dict[str, dict[str, Any]]:
    """Put one row of a tenant into every table that has tenants; return the rows."""
    rows: dict[str, dict[str, Any]] = {"tenants": {"id": tenant_id}}
    for table in metadata.sorted_tables:
        if "tenant_id" in table.c:
            given = row_of(table, tenant_id=tenant_id, rows=rows)
            kept = connection.execute(table.insert().returning(*table.c), given).one()
            rows[table.name] = dict(kept._mapping)
    return rows


def row_of(
    table: sa.Table, *, tenant_id: int, rows: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Make up a row of a table; foreign keys point to the rows given."""
    return {
        column.name: _made_up(column, tenant_id=tenant_id, rows=rows)
        for column in table.c
        if column.identity is None and column.name != "xid"
    }


def _state(column: sa.Column[Any]) -> str:
    states = {
        "webhook_deliveries": "pending",
        "ingest_runs": "succeeded",
        "source_windows": "done",
        "quarantine": "held",
        "incidents": "open",
    }
    return states.get(column.table.name, "queued")


def _checked(column: sa.Column[Any]) -> Any:
    # Of a recommendation and of a firing the word means something else.
    advised = str(column) == "recommendations.outcome"
    return None if advised else _CHECKED[column.name]


def _text(column: sa.Column[Any], tenant_id: int) -> str:
    kinds = {"drift_findings": "input", "series": "observed", "channels": "email"}
    kind = kinds.get(column.table.name)
    if column.name == "kind" and kind is not None:
        return kind
    return f"{column.name} of {tenant_id}"


def _made_up(
    column: sa.Column[Any], *, tenant_id: int, rows: dict[str, dict[str, Any]]
) -> Any:
    if column.name == "tenant_id":
        return tenant_id
    if column.name in _CHECKED:
        return _state(column) if column.name == "state" else _checked(column)
    for key in column.foreign_keys:
        return rows[key.column.table.name][key.column.name]
    sample = next(
        one for kind, one in _SAMPLES.items() if isinstance(column.type, kind)
    )
    if isinstance(sample, str):
        return _text(column, tenant_id)
    if isinstance(sample, bytes):
        return f"{column.name} of {tenant_id}".encode()
    return tenant_id if column.name == "series_id" else sample
