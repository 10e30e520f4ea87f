"""Values that a source no longer gives: versions without a number.

Absence proves nothing by itself. Whoever asks has seen all that the source holds of a
window, and that no row of it was refused (adr/0007).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias, Unpack

from sqlalchemy import text

from db import series
from db.loads import Knowing, Staged
from db.session import Connection

Stretch: TypeAlias = tuple[str, datetime, datetime]
"""A series' key, and the half-open window of it that is proven complete."""

_MADE = """
DROP TABLE IF EXISTS pg_temp.obs_whole, pg_temp.obs_gone;
CREATE TEMP TABLE obs_whole (
    series_id integer, series_no integer, start timestamptz, stop timestamptz
) ON COMMIT DROP
"""
_WHOLE = text("""
INSERT INTO obs_whole
SELECT * FROM unnest(CAST(:ids AS integer[]), CAST(:numbers AS integer[]),
    CAST(:starts AS timestamptz[]), CAST(:stops AS timestamptz[]))
""")

_ANALYZE = text("ANALYZE obs_whole")

# Rows that disagree with each other are in the stage too, so they withdraw nothing.
# Both sides are grouped, not joined: tables that were never analysed would be read
# whole for each row of the other.
_GONE = """
SELECT max(series_id) AS series_id, ts, max(known_from) AS known_from FROM (
    SELECT w.series_no, w.series_id, c.ts, c.known_from
    FROM obs_whole AS w CROSS JOIN LATERAL (
        SELECT ts, known_from FROM obs_current AS one
        WHERE one.tenant_id = :tenant_id AND one.series_id = w.series_id
            AND one.ts >= w.start AND one.ts < w.stop
            AND one.ts >= :first AND one.ts < :last AND one.value IS NOT NULL
            AND (one.known_from > CAST(:outdated_by AS timestamptz)) IS NOT TRUE
        OFFSET 0
    ) AS c
    UNION ALL
    SELECT series_no, NULL, ts, NULL FROM obs_stage
) AS either GROUP BY series_no, ts HAVING bool_and(series_id IS NOT NULL)
"""
_COUNT = text(f"SELECT count(*) FROM ({_GONE}) AS gone")  # noqa: S608 - our own query
_GONE_NOW = text(f"""
CREATE TEMP TABLE obs_gone ON COMMIT DROP AS
SELECT series_id, ts, greatest(CAST(:known_from AS timestamptz),
    known_from + interval '1 microsecond') AS known_from
FROM ({_GONE}) AS gone ORDER BY series_id, ts
""")  # noqa: S608 - only the query above is put in
_TOMBSTONES = text("""
INSERT INTO obs_version (tenant_id, series_id, ts, known_from, ingested_at, value,
    status, basis, run_id)
SELECT :tenant_id, series_id, ts, known_from, :now, NULL, 'withdrawn', :basis, :run_id
FROM obs_gone
""")
# Through the index, row by row, as in loads.
_CURRENT = text("""
INSERT INTO obs_current (tenant_id, series_id, ts, value, status, known_from, run_id)
SELECT :tenant_id, series_id, ts, NULL, 'withdrawn', known_from, :run_id FROM obs_gone
ON CONFLICT (series_id, ts) DO UPDATE SET value = NULL, status = excluded.status,
    known_from = excluded.known_from, run_id = excluded.run_id
""")


def withdraw(
    connection: Connection,
    *,
    tenant_id: int,
    staged: Staged,
    windows: Sequence[Stretch],
    run_id: str,
    now: datetime,
    **knowing: Unpack[Knowing],
) -> int:
    """Withdraw the current values of windows that the stage does not hold.

    To be called in the transaction of the load, best after its merge. A value that
    comes back later is a revision.

    Args:
        connection: of the tenant.
        tenant_id: whose series; those that do not exist are passed over.
        staged: what the source gave; also its rows that are in conflict count as there.
        windows: what is proven complete. Overlapping ones are fine.
        run_id: what the versions without a number name as their origin.
        now: when the load runs.
        knowing: since when the values are known to be gone, if not since ``now``; and
            since when a value came later than what the source gave.

    Returns:
        How many values were withdrawn.
    """
    given = _given(connection, tenant_id=tenant_id, staged=staged, windows=windows)
    if given is None:
        return 0
    series.lock(connection, tenant_id=tenant_id, series_ids=given["ids"])
    given |= {"run_id": run_id, "now": now, "known_from": now, "basis": "observed"}
    gone = connection.execute(_GONE_NOW, {**given, **knowing}).rowcount
    if gone:
        connection.execute(_TOMBSTONES, {**given, **knowing})
        connection.execute(_CURRENT, given)
    return gone


def count_withdrawn(
    connection: Connection,
    *,
    tenant_id: int,
    staged: Staged,
    windows: Sequence[Stretch],
) -> int:
    """Return how many values ``withdraw`` would withdraw; nothing is written."""
    given = _given(connection, tenant_id=tenant_id, staged=staged, windows=windows)
    return connection.execute(_COUNT, given).scalar_one() if given else 0


def _given(
    connection: Connection,
    *,
    tenant_id: int,
    staged: Staged,
    windows: Sequence[Stretch],
) -> dict[str, Any] | None:
    """Put the windows of series that exist into a table; None if there are none."""
    keys = {key for key, _, _ in windows}
    found = series.find_many(connection, tenant_id=tenant_id, keys=keys)
    there = [window for window in windows if window[0] in found]
    if not there:
        return None
    numbers = {key: number for number, key in enumerate(staged.keys)}
    given: dict[str, Any] = {
        "tenant_id": tenant_id,
        "outdated_by": None,
        "ids": [found[key].id for key, _, _ in there],
        # A series that the stage does not hold has a number of its own.
        "numbers": [numbers.get(key, -found[key].id) for key, _, _ in there],
        "starts": [start for _, start, _ in there],
        "stops": [stop for _, _, stop in there],
    }
    connection.exec_driver_sql(_MADE)
    connection.execute(_WHOLE, given)
    connection.execute(_ANALYZE)
    return {**given, "first": min(given["starts"]), "last": max(given["stops"])}
