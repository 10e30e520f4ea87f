"""What scoring a series as it arrives has to remember: one compact state for each name.

A state is read, used and written in the transaction that stores the anomalies it led
to, so that no observation counts twice and none is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class StreamState:
    """The state of a series; everything before ``upto`` is in it.

    ``name`` tells several watches of a series apart, ``format`` says how the bytes are
    to be read, ``settings`` with what options they were made, ``version`` counts the
    writes.
    """

    series_id: int
    name: str
    format: int
    settings: dict[str, Any]
    packed: bytes
    points: int
    upto: datetime
    version: int
    updated_at: datetime


@dataclass(frozen=True)
class NewState:
    """A state to be kept; ``points`` is how many observations are in it."""

    series_id: int
    format: int
    settings: dict[str, Any]
    packed: bytes
    points: int
    upto: datetime


_ALONE = text("""
SELECT pg_advisory_xact_lock(hashtextextended('stream:' || :name || ':' || one, 0))
FROM unnest(CAST(:ids AS integer[])) AS one ORDER BY one
""")
_COLUMNS = (
    "series_id, name, format, settings, packed, points, upto, version, updated_at"
)
_LOAD = text(f"""
SELECT {_COLUMNS} FROM stream_states
WHERE tenant_id = :tenant_id AND name = :name AND series_id = ANY(:ids)
ORDER BY series_id
""")  # noqa: S608 - only our own list of columns is spliced in
_SAVE = text("""
INSERT INTO stream_states (series_id, name, tenant_id, format, settings, packed,
    points, upto, version, updated_at)
VALUES (:series_id, :name, :tenant_id, :format, CAST(:settings AS jsonb), :packed,
    :points, :upto, 1, :now)
ON CONFLICT (series_id, name) DO UPDATE SET format = excluded.format,
    settings = excluded.settings, packed = excluded.packed, points = excluded.points,
    upto = excluded.upto, version = stream_states.version + 1,
    updated_at = excluded.updated_at
""")
_FORGET = text("""
DELETE FROM stream_states WHERE tenant_id = :tenant_id AND series_id = ANY(:ids)
    AND (CAST(:name AS text) IS NULL OR name = :name)
""")


def hold(connection: Connection, *, series_ids: Sequence[int], name: str) -> None:
    """Let nobody else hold these states until the commit, whether there are any or not.

    Taken in the order of the series, so two holders never wait for each other.
    """
    given = {"ids": sorted(set(series_ids)), "name": name}
    connection.execute(_ALONE, given).all()


def load(
    connection: Connection, *, tenant_id: int, series_ids: Sequence[int], name: str
) -> dict[int, StreamState]:
    """Return the states there are, by series."""
    given = {"tenant_id": tenant_id, "ids": list(series_ids), "name": name}
    rows = connection.execute(_LOAD, given)
    return {
        row.series_id: StreamState(**{**row._mapping, "packed": bytes(row.packed)})
        for row in rows
    }


def save(
    connection: Connection,
    *,
    tenant_id: int,
    name: str,
    states: Sequence[NewState],
    now: datetime,
) -> None:
    """Write states in place of those there are."""
    given = {"tenant_id": tenant_id, "name": name, "now": now}
    rows = [
        {**vars(one), **given, "settings": orjson.dumps(one.settings).decode()}
        for one in states
    ]
    if rows:
        connection.execute(_SAVE, rows)


def forget(
    connection: Connection,
    *,
    tenant_id: int,
    series_ids: Sequence[int],
    name: str | None = None,
) -> int:
    """Drop states, so that the next look begins anew; return how many."""
    given = {"tenant_id": tenant_id, "ids": list(series_ids), "name": name}
    return connection.execute(_FORGET, given).rowcount
