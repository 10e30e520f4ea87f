"""``ingest.replay``: parse kept answers again; the source is not asked."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from db import quarantine, raw_fetches, source_ledger
from db.session import Connection
from tasks import pull
from tasks.catalog import Limits, Params, job_type
from tasks.context import JobContext, Outcome
from tasks.errors import FieldError, InvalidData
from tasks.pull_ledger import run_id
from tasks.source_plan import Opened, SourceName, opened

_MOST = 500
"""Partitions of one transaction; ``left`` of the result counts those beyond."""


class ReplayParams(Params):
    """Which of a source's kept answers to parse again."""

    source: SourceName = Field(description="The name of a source.")
    partition: str | None = Field(
        default=None, max_length=400, description="One partition; by default all."
    )
    quarantined: bool = Field(
        default=False, description="Only partitions that have rows in quarantine."
    )


@job_type("ingest.replay", params=ReplayParams, queue="ingest", limits=Limits(3_600))
def replay(params: ReplayParams, context: JobContext) -> Outcome:
    """Parse kept answers again, as after a parser was mended; nothing is asked."""
    one = opened(context, name=params.source)
    with context.read() as connection:
        wanted = _wanted(connection, one, params, context)
    if not wanted:
        detail = "no answer of that source and partition is kept"
        raise InvalidData(detail, (FieldError("/params/partition", detail),))

    def store(connection: Connection) -> Mapping[str, Any]:
        windows, now = [], wanted[:_MOST]
        for number, partition_id in enumerate(now):
            context.progress(number, len(now), "partitions", partition_id)
            windows.append(_again(connection, one, partition_id, context))
        return {"windows": windows, "left": len(wanted) - len(now)}

    return Outcome({"source": one.source.name}, store)


def _wanted(
    connection: Connection, one: Opened, params: ReplayParams, context: JobContext
) -> list[str]:
    tenant_id, source_id = context.tenant_id, one.source.id
    kept = raw_fetches.partitions(connection, tenant_id=tenant_id, source_id=source_id)
    if params.quarantined:
        held = set(
            quarantine.held_partitions(
                connection, tenant_id=tenant_id, source_id=source_id
            )
        )
        kept = [one for one in kept if one in held]
    if params.partition is not None:
        kept = [one for one in kept if one == params.partition]
    return kept


def _again(
    connection: Connection, one: Opened, partition_id: str, context: JobContext
) -> dict[str, Any]:
    from ingest.contract import Partition

    tenant_id, source_id = context.tenant_id, one.source.id
    known = source_ledger.found(
        connection,
        tenant_id=tenant_id,
        source_id=source_id,
        partition_ids=[partition_id],
    )
    job_id = raw_fetches.latest_job(
        connection,
        tenant_id=tenant_id,
        source_id=source_id,
        partition_id=partition_id,
    )
    window = known.get(partition_id)
    if window is not None and window.state in ("done", "held"):
        job_id = window.job_id or job_id
    if window is None or job_id is None:
        return {"partition": partition_id, "state": "failed", "reason": "not_kept"}
    partition = Partition(partition_id, window.start_at, window.end_at, window.part)
    told = pull.pulled_again(connection, one, partition, context, job_id=job_id)
    if told["state"] != "failed":
        load = quarantine.Load(
            source_id=source_id, partition_id=partition_id, run_id=run_id(context)
        )
        quarantine.settle(connection, tenant_id=tenant_id, load=load)
    return told
