"""Runs: which job loaded which file and with what effect; each value names its run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from db.session import Connection
from db.tables import ingest_runs as table


@dataclass(frozen=True)
class NewRun:
    """A load that happened: its id, its source, and how many rows went which way."""

    id: str
    source: str
    counts: Mapping[str, int]
    job_id: str | None = None
    sha256: str | None = None
    source_id: str | None = None
    state: str = "succeeded"
    detail: Mapping[str, Any] | None = None


def create(
    connection: Connection, *, tenant_id: int, new: NewRun, now: datetime
) -> None:
    """Insert a run, in the transaction that stored its observations.

    A run that failed is noted before its job ends; if the job is tried again after all,
    what it ends as replaces that.
    """
    statement = insert(table).values(
        id=new.id,
        tenant_id=tenant_id,
        job_id=new.job_id,
        source=new.source,
        sha256=new.sha256,
        counts=dict(new.counts),
        source_id=new.source_id,
        state=new.state,
        detail=new.detail,
        created_at=now,
    )
    ended = ("state", "counts", "detail", "created_at")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={name: statement.excluded[name] for name in ended},
            where=table.c.state == "failed",
        )
    )
