"""What is kept of the reading of a source, made as the run path makes it."""

from typing import Any

from sqlalchemy import text

from db import quarantine, raw_fetches, source_ledger, sources
from db.ids import new_id
from db.quarantine import Load, Refused
from db.raw_fetches import NewFetch
from db.session import Connection
from db.source_ledger import Window
from db.sources import Setup, Source
from tests.db.rows import AT

LEDGER = ("source_series", "source_windows", "raw_fetches", "quarantine")
_RUN = text("""
INSERT INTO ingest_runs (id, tenant_id, source, counts, created_at, source_id,
    partition_id, state, detail)
VALUES (:id, :tenant_id, :source, '{"written": 3}', :at, :source_id, :partition_id,
    'partial', '{"failed": 1}')
""")


def source(connection: Connection, tenant_id: int, name: str = "grid") -> Source:
    """Create a source."""
    setup = Setup(name=name, connector="eia", config={"a": 1}, options={})
    made = sources.create(connection, tenant_id=tenant_id, setup=setup, now=AT)
    assert made is not None
    return made


def window(partition_id: str = "p1", **changes: Any) -> Window:
    return Window(
        **{
            "partition_id": partition_id,
            "start_at": AT,
            "end_at": None,
            "part": {"region": "pjm"},
            "state": "done",
            "run_id": "run_1",
            "job_id": "job_1",
            "counts": {"written": 3},
            "finished_at": AT,
            **changes,
        }
    )


def fetch(owner: Source, **changes: Any) -> NewFetch:
    return NewFetch(
        **{
            "source_id": owner.id,
            "job_id": "job_1",
            "partition_id": "p1",
            "request": {"url": "https://a.example/", "params": [["a", "1"]]},
            "fingerprint": "f1",
            "status": 200,
            "headers": {"content-type": "text/csv"},
            "whole": True,
            "verdict": "ok",
            "sha256": "00",
            "bytes": 3_000_000_000,
            "fetched_at": AT,
            **changes,
        }
    )


def run(connection: Connection, owner: Source, partition_id: str = "p1") -> str:
    """Insert a run of a source; return its id."""
    run_id = new_id("run")
    connection.execute(
        _RUN,
        {
            "id": run_id,
            "tenant_id": owner.tenant_id,
            "source": owner.name,
            "source_id": owner.id,
            "partition_id": partition_id,
            "at": AT,
        },
    )
    return run_id


def all_of_it(connection: Connection, owner: Source) -> None:
    """Insert one row of each table but ``source_series``."""
    named = {"tenant_id": owner.tenant_id}
    run(connection, owner)
    source_ledger.record(connection, **named, source_id=owner.id, window=window())
    raw_fetches.insert(connection, **named, new=fetch(owner))
    load = Load(source_id=owner.id, partition_id="p1", run_id="run_1")
    bad = Refused(row_no=7, code="bad_value", detail="not a number", row="pjm,x")
    quarantine.add(connection, **named, load=load, refused=[bad], now=AT)
