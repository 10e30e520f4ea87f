"""Rows of the quarantine in whose place a later load brings good ones."""

from datetime import datetime

from sqlalchemy import text

from db.quarantine import Load
from db.session import Connection
from db.stages import Staged

HELD = """
tenant_id = :tenant_id AND source_id = :source_id AND state = 'held'
    AND run_id <> :run_id AND last_seen <= :known_at
"""
"""What may be settled: what a load holds itself stays held, whatever it brings."""

_KEYS = text(f"""
SELECT DISTINCT series_key FROM quarantine
WHERE {HELD} AND ts IS NOT NULL AND series_key = ANY (:keys)
""")  # noqa: S608 - only a condition of ours is put in
_PLACES = f"""
SELECT id FROM obs_stage JOIN unnest(CAST(:numbers AS integer[]),
    CAST(:keys AS text[])) AS named (series_no, series_key) USING (series_no)
JOIN (SELECT id, series_key, ts FROM quarantine WHERE {HELD} OFFSET 0) AS place
    USING (series_key, ts)
WHERE {{observed}}
GROUP BY id, {{publication}} HAVING min(obs_stage.value) = max(obs_stage.value)
"""  # noqa: S608 - same
# What was not analysed yet passes for nearly empty: each of many staged rows would be
# compared with each of many held ones.
_LOOPS = "SET LOCAL enable_nestloop = {}"
# To wait for a row that another part settles right now could be to wait for each other.
_SUPERSEDE = text(f"""
UPDATE quarantine SET state = 'superseded', resolved_by = :run_id
WHERE id IN (SELECT id FROM quarantine WHERE {HELD} AND id = ANY (:ids)
    FOR UPDATE SKIP LOCKED)
""")  # noqa: S608 - same
# A held row is one of an observation; the issues of a forecast speak of its time too.
_SAYING = {"observed": "issued = '-infinity'", "publication": "published"}
_PLAIN = {"observed": "true", "publication": "()"}


def supersede(
    connection: Connection,
    *,
    tenant_id: int,
    load: Load,
    staged: Staged,
    known_at: datetime,
) -> int:
    """Mark held rows of whose series and time the stage holds a good row.

    To be called in the transaction that publishes what is staged. Rows of one time that
    contradict each other are not good.

    Args:
        connection: of the tenant.
        tenant_id: whose source it is.
        load: the load; what it has held itself stays held.
        staged: what the source gave.
        known_at: when the source gave it; what was held later stays held.

    Returns:
        How many rows there were.
    """
    given = {**vars(load), "tenant_id": tenant_id, "known_at": known_at}
    found = set(connection.scalars(_KEYS, {**given, "keys": list(staged.keys)}))
    named = [one for one in enumerate(staged.keys) if one[1] in found]
    if not named:
        return 0
    numbers, keys = zip(*named, strict=True)
    more = {"numbers": list(numbers), "keys": list(keys)}
    query = _PLACES.format(**(_SAYING if staged.vintages else _PLAIN))
    connection.exec_driver_sql(_LOOPS.format("off"))
    places = connection.scalars(text(query), {**given, **more}).all()
    connection.exec_driver_sql(_LOOPS.format("DEFAULT"))
    return connection.execute(_SUPERSEDE, {**given, "ids": list(places)}).rowcount
