"""What is odd about rows that were just stored: noted, and published all the same."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from db import loads, series, source_checks
from db.session import Connection
from tasks.pull_ledger import Load, run_id

if TYPE_CHECKING:
    from ingest.alarms import Note
    from ingest.contract import Partition

MOST_SERIES = 200
"""Series of a partition that are looked at."""

MOST_NOTES = 20


def checked(
    connection: Connection, partition: "Partition", how: Load, loaded: loads.Loaded
) -> dict[str, Any]:
    """Return what was noted of a load: ``notes`` and ``edge_revisions``, if any."""
    if not loaded.written and not loaded.revised:
        return {}
    windows = loaded.windows[:MOST_SERIES]
    found = series.find_many(
        connection,
        tenant_id=how.context.tenant_id,
        keys=[window.key for window in windows],
    )
    looked = source_checks.Looked(
        tenant_id=how.context.tenant_id,
        series_ids=[one.id for one in found.values()],
        run_id=run_id(how.context),
        first=min(window.first for window in windows),
        last=max(window.last for window in windows),
    )
    keys = {one.id: key for key, one in found.items()}
    notes = list(_notes(connection, looked, keys, revised=loaded.revised))
    told: dict[str, Any] = {}
    if notes:
        told = {"notes": [asdict(one) for one in notes[:MOST_NOTES]]}
        told["notes_total"] = len(notes)
    early = _early(connection, partition, how, looked) if loaded.revised else 0
    return {**told, **({"edge_revisions": early} if early else {})}


def _notes(
    connection: Connection,
    looked: source_checks.Looked,
    keys: dict[int, str],
    *,
    revised: int,
) -> Iterator["Note"]:
    from ingest.alarms import Point, Revision, large_revisions, odd_values

    recent = {
        number: [Point(*one) for one in points]
        for number, points in source_checks.recent(connection, looked).items()
    }
    for number, points in recent.items():
        yield from odd_values(keys[number], points)
    if revised:
        for number, changes in source_checks.revised(connection, looked).items():
            pairs = [Revision(*one) for one in changes]
            yield from large_revisions(keys[number], pairs, recent.get(number, []))


def _early(
    connection: Connection,
    partition: "Partition",
    how: Load,
    looked: source_checks.Looked,
) -> int:
    if how.edge is None or (partition.start is not None and partition.start > how.edge):
        return 0
    return source_checks.early(connection, looked, edge=how.edge)
