"""What a load writes beside observations: series, watermarks, and rows held back."""

from datetime import datetime
from typing import TYPE_CHECKING

from db import loads, quarantine, series, source_progress, source_series
from db.session import Connection
from db.superseded import supersede
from tasks.context import JobContext
from tasks.loads import conflicting
from tasks.pull_ledger import run_id
from tasks.pull_reading import Reading
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.batch import Rejected
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
    refused = [_refused(bad, sha256, bad.place) for bad, sha256 in reading.bad]
    # The issues of a forecast share their times, which so do not say which row it is.
    refused += [
        _refused(bad, None, None if reading.issued else bad.place)
        for bad in (conflicting(loaded) if loaded else ())
    ]
    quarantine.add(
        connection,
        tenant_id=context.tenant_id,
        load=_load(one, context, partition_id),
        refused=refused,
        now=context.now,
    )


def superseded(
    connection: Connection,
    one: Opened,
    context: JobContext,
    read: tuple[Reading, loads.Staged, loads.Loaded],
    *,
    partition_id: str,
) -> int:
    """Settle what was held and is good now; return how many rows there were.

    Good is what the partition no longer refuses, as the source was asked again; and
    what has a good row of its series and time here, whichever partition it was in. To
    be called after ``quarantined``.
    """
    tenant_id, load = context.tenant_id, _load(one, context, partition_id)
    reading, staged, loaded = read
    settled = 0
    listed = len(reading.bad) + len(loaded.conflicts)
    if reading.tally.rejected_total + loaded.conflicting == listed:
        settled = quarantine.settle(
            connection, tenant_id=tenant_id, load=load, state="superseded"
        )
    return settled + supersede(
        connection,
        tenant_id=tenant_id,
        load=load,
        staged=staged,
        known_at=reading.fetched_at or context.now,
    )


def _load(one: Opened, context: JobContext, partition_id: str) -> quarantine.Load:
    return quarantine.Load(
        source_id=one.source.id,
        partition_id=partition_id,
        run_id=run_id(context),
        contract_version=one.spec.version,
    )


def _refused(
    bad: "Rejected", sha256: str | None, place: tuple[str, datetime] | None
) -> quarantine.Refused:
    key, ts = place or (None, None)
    return quarantine.Refused(
        row_no=bad.row,
        code=bad.code,
        detail=bad.detail,
        row=bad.text,
        raw_sha256=sha256,
        key=key,
        ts=ts,
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
