"""Loading observations: write what the staged rows change.

Only changed values are written, so a load that is run again writes nothing (adr/0007).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict, Unpack

from sqlalchemy import text

from db import series, vintages
from db.session import Connection
from db.stages import Staged, Window, stage

__all__ = [
    "LISTED",
    "Conflict",
    "Knowing",
    "Loaded",
    "Staged",
    "Window",
    "merge",
    "stage",
]

LISTED = 1_000
"""Conflicting rows that a load names at most."""

# Rows that lie in order are grouped by a sort in a tenth of the time of a hash table.
_LOAD = """
SET LOCAL enable_hashagg = off;
CREATE TEMP TABLE obs_load ON COMMIT DROP AS
SELECT {key}, min(value) AS value, count(*)::integer AS copies,
    min(value) <> max(value) AS conflicting
FROM obs_stage GROUP BY {key};
SET LOCAL enable_hashagg = DEFAULT
"""
_KEY = "series_no, ts"
_VINTAGE_KEY = "series_no, ts, published, issued"

_WINDOWS = text("""
SELECT series_no, min(ts) FILTER (WHERE NOT conflicting) AS first,
    max(ts) FILTER (WHERE NOT conflicting) AS last,
    count(*) FILTER (WHERE NOT conflicting) AS rows,
    coalesce(sum(copies - 1) FILTER (WHERE NOT conflicting), 0) AS duplicates,
    coalesce(sum(copies) FILTER (WHERE conflicting), 0) AS conflicting
FROM obs_load GROUP BY series_no
""")
_CONFLICTS = """
SELECT series_no, ts, row_no, copies, obs_stage.value
FROM obs_stage JOIN obs_load USING ({key})
WHERE conflicting ORDER BY row_no LIMIT :limit
"""

_MAP = text("""
INSERT INTO obs_stage_series
SELECT * FROM unnest(CAST(:numbers AS integer[]), CAST(:ids AS integer[]),
    CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[]),
    CAST(:rows AS integer[]))
""")
_ANALYZE = text("ANALYZE obs_stage_series")

# Whether anything is stored where rows come; of series whose rows lie farthest apart
# also whether much more is than comes. Limits keep it at one look into the index each.
_REACH = text("""
SELECT coalesce(bool_or(stored > 0), false) AS overlaps,
    coalesce(bool_or(stored > 2 * rows + 100), false) AS sparse
FROM (
    SELECT m.rows, (SELECT count(*) FROM (
        SELECT FROM obs_current AS c
        WHERE c.tenant_id = :tenant_id AND c.series_id = m.series_id
            AND c.ts BETWEEN m.first AND m.last AND c.ts BETWEEN :first AND :last
        LIMIT CASE WHEN m.counted THEN 2 * m.rows + 101 ELSE 1 END
    ) AS found) AS stored
    FROM (
        SELECT *, row_number() OVER (ORDER BY (last - first) / rows DESC) <= 10
            AS counted
        FROM obs_stage_series
    ) AS m
) AS reach
""")
# What is stored of the windows of the load, read once, window by window. Offsets keep
# the planner from reading the table whole, or a window once for each of its rows.
_STORED = """(
    SELECT m.series_no, one.* FROM obs_stage_series AS m CROSS JOIN LATERAL (
        SELECT ts, value, known_from FROM obs_current
        WHERE tenant_id = :tenant_id AND series_id = m.series_id
            AND ts BETWEEN m.first AND m.last AND ts BETWEEN :first AND :last
        OFFSET 0
    ) AS one OFFSET 0
) AS c ON c.series_no = l.series_no AND c.ts = l.ts"""
# A few rows of long windows are looked up one by one.
_STORED_OF_ROW = """LATERAL (
    SELECT ts, value, known_from FROM obs_current
    WHERE tenant_id = :tenant_id AND series_id = m.series_id AND ts = l.ts
        AND ts BETWEEN :first AND :last
    OFFSET 0
) AS c ON true"""
# To sort both sides takes half as long again as a hash table in pieces; and what was
# not analysed yet passes for nearly empty, and would be gone through for each row.
_JOINS = "SET LOCAL enable_mergejoin = {0}; SET LOCAL enable_nestloop = {0}"

# A version is never older than the one it follows, even if clocks disagree.
_CHANGE = """
CREATE TEMP TABLE obs_change ON COMMIT DROP AS
SELECT m.series_id, l.ts, l.value, c.ts IS NOT NULL AS revised,
    greatest(CAST(:known_from AS timestamptz),
        c.known_from + interval '1 microsecond') AS known_from
FROM {rows} AS l JOIN obs_stage_series AS m USING (series_no)
LEFT JOIN {stored}
WHERE {good} AND c.value IS DISTINCT FROM l.value
    AND (c.known_from > CAST(:outdated_by AS timestamptz)) IS NOT TRUE
ORDER BY m.series_id, l.ts
"""
_VERSIONS = """
INSERT INTO obs_version (tenant_id, series_id, ts, known_from, ingested_at, value,
    basis, run_id)
SELECT :tenant_id, series_id, ts, known_from, :now, value, :basis, :run_id
FROM {changes}
"""
# The series are locked, so no other load can have written a new row meanwhile: a plain
# INSERT takes two thirds of the time of one that is ready for a conflict.
_NEW = """
INSERT INTO obs_current (tenant_id, series_id, ts, value, known_from, run_id)
SELECT :tenant_id, series_id, ts, value, known_from, :run_id
FROM {changes} WHERE NOT revised
"""
# Each row goes through the index. An UPDATE from a join is for the planner to order: it
# takes a table that was not analysed yet for empty, and reads all of it for each row.
_REVISED = text("""
INSERT INTO obs_current (tenant_id, series_id, ts, value, known_from, run_id)
SELECT :tenant_id, series_id, ts, value, known_from, :run_id
FROM obs_change WHERE revised
ON CONFLICT (series_id, ts) DO UPDATE SET value = excluded.value, status = NULL,
    known_from = excluded.known_from, run_id = excluded.run_id
""")
# Where nothing is stored yet all rows are new, and need no table of changes.
_ALL_NEW = """(
    SELECT m.series_id, l.ts, l.value, false AS revised,
        CAST(:known_from AS timestamptz) AS known_from
    FROM {rows} AS l JOIN obs_stage_series AS m USING (series_no)
    WHERE {good} {order}
) AS n"""


class Knowing(TypedDict, total=False):
    """How the rows of a load came to be known.

    Attributes:
        known_from: since when rows are known that do not say when they were published:
            when they were fetched; the ``now`` of the load if it is left out.
        basis: what that rests on: "observed", or "assumed" for a time that was made up
            by a rule. Rows that say when they were published are "published".
        outdated_by: current values that are known since after this instant came later
            than these rows, and stay; None where the rows are the latest there is.
    """

    known_from: datetime
    basis: Literal["observed", "assumed", "published"]
    outdated_by: datetime | None


@dataclass(frozen=True)
class Conflict:
    """A row of a load whose series and time came again with another value."""

    row: int
    key: str
    ts: datetime
    copies: int
    value: float


@dataclass(frozen=True)
class Loaded:
    """What a load did: each staged row is in exactly one of the first five counts."""

    written: int
    revised: int
    unchanged: int
    duplicates: int
    conflicting: int
    conflicts: tuple[Conflict, ...]
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class _Rows:
    """The rows to be merged: each series, time and publication once."""

    table: str
    good: str
    order: str
    windows: tuple[Window, ...]
    duplicates: int = 0
    conflicting: int = 0
    conflicts: tuple[Conflict, ...] = ()


def merge(
    connection: Connection,
    *,
    staged: Staged,
    tenant_id: int,
    run_id: str,
    now: datetime,
    **knowing: Unpack[Knowing],
) -> Loaded:
    """Write what is new or changed among the staged rows; loading again writes nothing.

    Identical copies of a row are dropped. Copies with different values are all left
    out and named: which of them is right is for the owner to say. Rows that say when
    they were published or issued are placed among the versions there are.
    """
    rows = _rows(connection, staged)
    written = revised = 0
    if rows.windows:
        load = {"tenant_id": tenant_id, "run_id": run_id, "now": now}
        load |= {"known_from": now, "basis": "observed", "outdated_by": None}
        load |= knowing
        load["first"] = min(window.first for window in rows.windows)
        load["last"] = max(window.last for window in rows.windows)
        _map(connection, staged, rows.windows, load)
        if staged.vintages:
            written, revised = vintages.place(connection, load)
        new, changed = _write(connection, rows, load)
        written, revised = written + new, revised + changed
    return Loaded(
        written=written,
        revised=revised,
        unchanged=sum(window.rows for window in rows.windows) - written - revised,
        duplicates=rows.duplicates,
        conflicting=rows.conflicting,
        conflicts=rows.conflicts,
        windows=tuple(sorted(rows.windows, key=lambda window: window.key)),
    )


def _rows(connection: Connection, staged: Staged) -> _Rows:
    """Return what to merge; look for copies only where there may be any."""
    if staged.windows is not None:
        order = "" if staged.ordered else "ORDER BY m.series_id, l.ts"
        return _Rows("obs_stage", "true", order, staged.windows)
    key = _VINTAGE_KEY if staged.vintages else _KEY
    connection.exec_driver_sql(_LOAD.format(key=key))
    found = connection.execute(_WINDOWS).all()
    conflicting = int(sum(row.conflicting for row in found))
    return _Rows(
        table="obs_load",
        good="NOT l.conflicting" + (vintages.PLAIN if staged.vintages else ""),
        order="ORDER BY m.series_id, l.ts",
        windows=tuple(
            Window(staged.keys[row.series_no], row.first, row.last, row.rows)
            for row in found
            if row.rows
        ),
        duplicates=int(sum(row.duplicates for row in found)),
        conflicting=conflicting,
        conflicts=_conflicts(connection, staged, key) if conflicting else (),
    )


def _conflicts(
    connection: Connection, staged: Staged, key: str
) -> tuple[Conflict, ...]:
    query = text(_CONFLICTS.format(key=key))
    return tuple(
        Conflict(row.row_no, staged.keys[row.series_no], row.ts, row.copies, row.value)
        for row in connection.execute(query, {"limit": LISTED})
    )


def _map(
    connection: Connection,
    staged: Staged,
    windows: tuple[Window, ...],
    load: Mapping[str, Any],
) -> None:
    """Give the series their ids, and keep other loads off them."""
    tenant_id = load["tenant_id"]
    keys = [window.key for window in windows]
    ids = series.ids(connection, tenant_id=tenant_id, keys=keys, now=load["now"])
    series.lock(connection, tenant_id=tenant_id, series_ids=[*ids.values()])
    numbers = {key: number for number, key in enumerate(staged.keys)}
    columns = {
        "numbers": [numbers[key] for key in keys],
        "ids": [ids[key] for key in keys],
        "firsts": [window.first for window in windows],
        "lasts": [window.last for window in windows],
        "rows": [window.rows for window in windows],
    }
    connection.execute(_MAP, columns)
    connection.execute(_ANALYZE)


def _write(
    connection: Connection, rows: _Rows, load: Mapping[str, Any]
) -> tuple[int, int]:
    """Write versions and current values; return how many are new and how many not."""
    named = {"rows": rows.table, "good": rows.good, "order": rows.order}
    reach = connection.execute(_REACH, load).one()
    changes = "obs_change" if reach.overlaps else _ALL_NEW.format(**named)
    if reach.overlaps:
        stored = _STORED_OF_ROW if reach.sparse else _STORED
        connection.exec_driver_sql(_JOINS.format("off"))
        connection.execute(text(_CHANGE.format(stored=stored, **named)), load)
        connection.exec_driver_sql(_JOINS.format("DEFAULT"))
    versions = text(_VERSIONS.format(changes=changes))
    both = connection.execute(versions, load).rowcount
    new = connection.execute(text(_NEW.format(changes=changes)), load).rowcount
    if new < both:
        connection.execute(_REVISED, load)
    return new, both - new
