"""Rows that say when they were published or issued, among the versions there are.

A line is what was said of one time of a series: all publications of an observation, or
all of one issue of a forecast. A row is written if it differs from the one before it
in its line, wherever in time that is; ``obs_current`` follows the newest (adr/0007).
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from db.session import Connection

PLAIN = " AND l.published = '-infinity' AND l.issued = '-infinity'"
"""The rows of ``obs_load`` that are not for this module."""

_ARRIVAL = text("""
CREATE TEMP TABLE obs_arrival ON COMMIT DROP AS
SELECT m.series_id, l.ts, l.value, nullif(l.issued, '-infinity') AS issued,
    coalesce(nullif(l.published, '-infinity'), CAST(:known_from AS timestamptz))
        AS said,
    l.published > '-infinity' AS published
FROM obs_load AS l JOIN obs_stage_series AS m USING (series_no)
WHERE NOT l.conflicting AND (l.published > '-infinity' OR l.issued > '-infinity')
""")

# The offset keeps the lookup of a cell apart: joined, a table that was never analysed
# would be read whole for every cell.
# What is stored and what arrives, side by side. A row comes after all that is stored of
# the same millisecond: those are earlier states of its own publication. One without a
# publication comes last. Of the instants of a cell those up to ``taken`` are in use.
_VINTAGE = text("""
CREATE TEMP TABLE obs_vintage ON COMMIT DROP AS
WITH told AS (
    SELECT series_id, ts, value, issued, said, published, true AS arrives,
        CASE WHEN published THEN said + interval '999 microseconds'
            ELSE 'infinity' END AS place,
        NULL::timestamptz AS known_from, false AS dated
    FROM obs_arrival
    UNION ALL
    SELECT v.series_id, v.ts, v.value, v.issued_at, v.known_from, false, false,
        v.known_from, v.known_from, v.basis <> 'observed' AND v.value IS NOT NULL
    FROM (SELECT DISTINCT series_id, ts FROM obs_arrival) AS cell
    CROSS JOIN LATERAL (
        SELECT * FROM obs_version AS one
        WHERE one.tenant_id = :tenant_id AND one.series_id = cell.series_id
            AND one.ts = cell.ts AND one.ts BETWEEN :first AND :last
        OFFSET 0
    ) AS v
)
SELECT *, max(known_from) OVER cell AS taken,
    row_number() OVER line > 1 OR bool_or(NOT arrives) OVER whole AS revised,
    row_number() OVER line = 1 OR value IS DISTINCT FROM lag(value) OVER line
        AS differs
FROM told
WINDOW cell AS (PARTITION BY series_id, ts ORDER BY place, arrives),
    line AS (PARTITION BY series_id, ts, issued ORDER BY place, arrives),
    whole AS (PARTITION BY series_id, ts, issued)
""")

# Each version of a cell needs an instant of its own: rows of one instant follow each
# other by microseconds, in the order of their issues.
_CHANGE = text("""
CREATE TEMP TABLE obs_vintage_change ON COMMIT DROP AS
WITH free AS (
    SELECT *, greatest(said, taken + interval '1 microsecond') AS at
    FROM obs_vintage WHERE arrives AND differs
),
stepped AS (
    SELECT *, interval '1 microsecond'
        * row_number() OVER (PARTITION BY series_id, ts ORDER BY at, issued) AS step
    FROM free
)
SELECT series_id, ts, value, issued,
    max(at - step) OVER (PARTITION BY series_id, ts ORDER BY at, issued) + step
        AS known_from,
    CASE WHEN published THEN 'published' ELSE :basis END AS basis,
    revised, true AS counted
FROM stepped
""")

# A value that was withdrawn and is said again is back, though nothing new was
# published; unless what is said is older than the last that was.
_BACK = text("""
INSERT INTO obs_vintage_change
SELECT a.series_id, a.ts, a.value, a.issued,
    greatest(CAST(:known_from AS timestamptz),
        c.known_from + interval '1 microsecond'),
    :basis, true, NOT a.differs
FROM (
    SELECT DISTINCT ON (series_id, ts) * FROM obs_vintage WHERE arrives
    ORDER BY series_id, ts, said DESC, issued DESC
) AS a
CROSS JOIN LATERAL (
    SELECT known_from FROM obs_current AS one
    WHERE one.tenant_id = :tenant_id AND one.series_id = a.series_id
        AND one.ts = a.ts AND one.ts BETWEEN :first AND :last AND one.value IS NULL
    OFFSET 0
) AS c
WHERE NOT EXISTS (
    SELECT FROM obs_vintage AS v WHERE v.dated AND v.series_id = a.series_id
        AND v.ts = a.ts AND v.known_from > a.place
) AND NOT EXISTS (
    SELECT FROM obs_vintage_change AS n WHERE n.series_id = a.series_id
        AND n.ts = a.ts AND n.known_from > c.known_from
)
""")

_VERSIONS = text("""
INSERT INTO obs_version (tenant_id, series_id, ts, known_from, ingested_at, value,
    basis, run_id, issued_at)
SELECT :tenant_id, series_id, ts, known_from, :now, value, basis, :run_id, issued
FROM obs_vintage_change ORDER BY series_id, ts, known_from
""")
_NEWEST = """(
    SELECT DISTINCT ON (series_id, ts) * FROM obs_vintage_change
    ORDER BY series_id, ts, known_from DESC
) AS n"""
# Through the index, row by row, as in loads.
_CURRENT = text(f"""
INSERT INTO obs_current AS c (tenant_id, series_id, ts, value, known_from, run_id)
SELECT :tenant_id, series_id, ts, value, known_from, :run_id FROM {_NEWEST}
ON CONFLICT (series_id, ts) DO UPDATE SET value = excluded.value, status = NULL,
    known_from = excluded.known_from, run_id = excluded.run_id
WHERE c.known_from < excluded.known_from
""")  # noqa: S608 - only the query above is put in
_EFFECT = text("""
SELECT count(*) FILTER (WHERE NOT revised), count(*) FILTER (WHERE revised)
FROM obs_vintage_change WHERE counted
""")


def place(connection: Connection, load: Mapping[str, Any]) -> tuple[int, int]:
    """Write the rows of ``obs_load`` that say when they were published or issued.

    Args:
        connection: of the tenant; the series are locked, and in ``obs_stage_series``.
        load: tenant_id, run_id, now, known_from, basis, and the first and last time.

    Returns:
        How many rows are the first of their line, and how many change what was there.
    """
    steps = (_ARRIVAL, _VINTAGE, _CHANGE, _BACK, _VERSIONS, _CURRENT)
    for statement in steps:
        connection.execute(statement, load)
    written, revised = connection.execute(_EFFECT).one()
    return written, revised
