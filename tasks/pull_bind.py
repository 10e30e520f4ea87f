"""What a load writes beside observations: series, watermarks, and rows held back."""

from typing import TYPE_CHECKING

from db import loads, quarantine, series, source_progress, source_series
from db.session import Connection
from tasks.context import JobContext
from tasks.loads import conflicting
from tasks.pull_ledger import run_id
from tasks.pull_reading import Reading
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.contract import SeriesMeta


def changed_unit(
    connection: Connection, one: Opened, context: JobContext, reading: Reading
) -> str | None:
    """Return what to say of a series whose unit is another one now, or None."""
    known = source_progress.units(
        connection, tenant_id=context.tenant_id, source_id=one.source.id
    )
    for key, meta in reading.metas.items():
        before = known.get(key)
        if before and meta.unit and before != meta.unit:
            return f"the unit of {key} changed from {before!r} to {meta.unit!r}"
    return None


def quarantined(
    connection: Connection,
    one: Opened,
    context: JobContext,
    reading: Reading,
    loaded: loads.Loaded | None,
    *,
    partition_id: str,
) -> None:
    """Keep the bad rows of a partition, each with its reason and as it stood."""
    rows = list(reading.bad)
    rows += [(bad, None) for bad in (conflicting(loaded) if loaded else ())]
    quarantine.add(
        connection,
        tenant_id=context.tenant_id,
        load=quarantine.Load(
            source_id=one.source.id,
            partition_id=partition_id,
            run_id=run_id(context),
            contract_version=one.spec.version,
        ),
        refused=[
            quarantine.Refused(
                row_no=bad.row,
                code=bad.code,
                detail=bad.detail,
                row=bad.text,
                raw_sha256=sha256,
            )
            for bad, sha256 in rows
        ],
        now=context.now,
    )


def bind(
    connection: Connection,
    one: Opened,
    context: JobContext,
    reading: Reading,
    *,
    moves: bool,
) -> None:
    """Say what the source knows of its series, and move their watermarks."""
    tenant_id, source_id = context.tenant_id, one.source.id
    keys = {reading.key(local): local for local in reading.marks}
    ids = series.ids(connection, tenant_id=tenant_id, keys=[*keys], now=context.now)
    source_series.upsert(
        connection,
        tenant_id=tenant_id,
        source_id=source_id,
        found={
            local: source_series.Bound(ids[key], _unit(reading.metas.get(local)))
            for key, local in keys.items()
        },
    )
    source_progress.describe(
        connection,
        tenant_id=tenant_id,
        told={
            ids[key]: vars(reading.metas[local])
            for key, local in keys.items()
            if local in reading.metas
        },
        now=context.now,
    )
    if moves:
        source_series.advance(
            connection,
            tenant_id=tenant_id,
            source_id=source_id,
            marks=reading.marks,
            now=context.now,
        )


def _unit(meta: "SeriesMeta | None") -> str | None:
    return meta.unit if meta else None
