"""What a load writes beside observations: series, watermarks, and rows held back."""

from datetime import datetime
from typing import TYPE_CHECKING

from db import descriptions, loads, quarantine, series, source_progress, source_series
from db.covered import Reach, cover
from db.session import Connection
from db.superseded import supersede
from tasks import source_said
from tasks.context import JobContext
from tasks.loads import conflicting
from tasks.pull_ledger import Load, run_id
from tasks.pull_reading import Reading
from tasks.source_plan import WITHIN, Opened, asks_window

if TYPE_CHECKING:
    from ingest.batch import Rejected
    from ingest.contract import Partition, SeriesMeta


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
    how: Load,
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
        tenant_id=how.context.tenant_id,
        load=_load(one, how.context, partition_id),
        refused=refused,
        now=how.context.now,
        replays=how.replays,
    )


def superseded(
    connection: Connection,
    one: Opened,
    context: JobContext,
    read: tuple[Reading, loads.Staged, loads.Loaded],
    *,
    partition: "Partition",
) -> int:
    """Settle what was held and is good now; return how many rows there were.

    Good is what is no longer refused, in the partition or in one that lies within it,
    as the source was asked again; and what has a good row of its series and time here,
    whichever partition it was in. To be called after ``quarantined``.
    """
    tenant_id, load = context.tenant_id, _load(one, context, partition.id)
    reading, staged, loaded = read
    known_at = reading.fetched_at or context.now
    settled = 0
    if _is_all_known(reading, loaded):
        settled = quarantine.settle(
            connection, tenant_id=tenant_id, load=load, state="superseded"
        )
        if "ignored" not in reading.verdicts:
            settled += cover(
                connection,
                tenant_id=tenant_id,
                load=load,
                reach=_reach(one, partition, loaded),
                known_at=known_at,
            )
    return settled + supersede(
        connection, tenant_id=tenant_id, load=load, staged=staged, known_at=known_at
    )


def _reach(one: Opened, partition: "Partition", loaded: loads.Loaded) -> Reach:
    """Return what was read, of what stretch and series."""
    part = dict(partition.part)
    if asks_window(one) or WITHIN in part:
        return Reach(part, partition.start, partition.end)
    # A table that is read whole may have lost its oldest rows, good and bad alike.
    oldest = min((window.first for window in loaded.windows), default=None)
    return Reach(part, oldest, None, whole=True)


def _is_all_known(reading: Reading, loaded: loads.Loaded) -> bool:
    """Return whether all was read that might be bad, and what is bad is listed."""
    listed = len(reading.bad) + len(loaded.conflicts)
    return (
        reading.tally.rejected_total + loaded.conflicting == listed
        and "not_available" not in reading.verdicts
        and not reading.outside
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
    told = {
        ids[key]: source_said.of_series(one.source, reading.metas.get(local))
        for key, local in keys.items()
    }
    descriptions.describe(
        connection,
        tenant_id=tenant_id,
        told={number: said for number, said in told.items() if said is not None},
        tags=source_said.tags(one.source),
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
