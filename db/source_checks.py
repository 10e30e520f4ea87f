"""What a load is looked at for once it is merged: recent values, and revisions."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from db.session import Connection

RECENT = 200
"""The latest values of a series that are looked at."""

MOST_REVISIONS = 5_000


class Recent(NamedTuple):
    """A stored value; ``fresh`` if the run wrote it."""

    ts: datetime
    value: float
    fresh: bool


class Revised(NamedTuple):
    """A value that the run changed."""

    ts: datetime
    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Which rows to look at: of series, of a run, between two times inclusive."""

    tenant_id: int
    series_ids: Sequence[int]
    run_id: str
    first: datetime
    last: datetime


_RECENT = text("""
SELECT s.id AS series_id, c.ts, c.value, c.run_id = :run_id AS fresh
FROM unnest(CAST(:series_ids AS integer[])) AS s (id) CROSS JOIN LATERAL (
    SELECT ts, value, run_id FROM obs_current
    WHERE tenant_id = :tenant_id AND series_id = s.id AND ts <= :last
        AND value IS NOT NULL
    ORDER BY ts DESC LIMIT :most
) AS c
ORDER BY s.id, c.ts
""")
# Forecasts are no observations that were revised.
_CHANGED = """
FROM obs_version AS v CROSS JOIN LATERAL (
    SELECT value FROM obs_version AS o
    WHERE o.tenant_id = :tenant_id AND o.series_id = v.series_id AND o.ts = v.ts
        AND o.known_from < v.known_from
    ORDER BY o.known_from DESC LIMIT 1
) AS former
WHERE v.tenant_id = :tenant_id AND v.series_id = ANY (CAST(:series_ids AS integer[]))
    AND v.ts BETWEEN :first AND :last AND v.run_id = :run_id AND v.issued_at IS NULL
    AND v.value IS NOT NULL AND former.value IS NOT NULL
"""
_REVISED = text(f"""
SELECT v.series_id, v.ts, former.value AS before, v.value AS after
{_CHANGED} ORDER BY v.series_id, v.ts LIMIT :most
""")
_EARLY = text(f"SELECT count(*) {_CHANGED} AND v.ts < :edge")


def recent(connection: Connection, looked: Looked) -> dict[int, list[Recent]]:
    """Return the latest values of each series up to the last time, in their order."""
    found: dict[int, list[Recent]] = defaultdict(list)
    for row in connection.execute(_RECENT, _given(looked, most=RECENT)):
        found[row.series_id].append(Recent(row.ts, row.value, row.fresh))
    return found


def revised(connection: Connection, looked: Looked) -> dict[int, list[Revised]]:
    """Return what the run changed of each series, the first some thousands."""
    found: dict[int, list[Revised]] = defaultdict(list)
    for row in connection.execute(_REVISED, _given(looked, most=MOST_REVISIONS)):
        found[row.series_id].append(Revised(row.ts, row.before, row.after))
    return found


def early(connection: Connection, looked: Looked, *, edge: datetime) -> int:
    """Return how many of the values that the run changed lie before an instant."""
    counted: int = connection.scalar(_EARLY, _given(looked, edge=edge)) or 0
    return counted


def _given(looked: Looked, **more: Any) -> dict[str, Any]:
    return {**vars(looked), "series_ids": list(looked.series_ids), **more}
