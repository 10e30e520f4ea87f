"""Sources: what a tenant wants read from outside, and the circuit breaker of each.

What was read is in ``db/source_series.py``, ``db/source_ledger.py``,
``db/raw_fetches.py`` and ``db/quarantine.py``.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.ids import new_id
from db.session import Connection

MOST_FAILURES = 5
"""Transient failures in a row that open the breaker."""

_FIRST_OPEN_S = 300.0
_LONGEST_OPEN_S = 3_600.0


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a tenant decides about a source.

    Attributes:
        name: fixed for its life; series keys and jobs carry it.
        connector: a name on the shelf; fixed for its life.
        config: as given, and valid for the connector's ``config_type`` when stored.
        credential: the name of a credential of the tenant, or None.
        options: ``mapping``, ``since``, ``lookback_h``, ``withdraw``, ``quality``,
            ``expected``, ``watch`` and ``schedule`` as given; see
            docs/reference/http-api.md.
        schedule_id: of its row in ``schedules``, or None.
        enabled: whether it may run; a paused source keeps its schedule, paused.
    """

    name: str
    connector: str
    config: dict[str, Any]
    credential: str | None = None
    options: dict[str, Any]
    schedule_id: str | None = None
    enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class Source(Setup):
    """A row; ``failures`` counts transient ones in a row, for the breaker."""

    id: str
    tenant_id: int
    failures: int
    open_until: datetime | None
    created_at: datetime
    updated_at: datetime


_SHOWN = """id, tenant_id, name, connector, config, credential, options, schedule_id,
    enabled, failures, open_until, created_at, updated_at"""
_CREATE = text(f"""
INSERT INTO sources ({_SHOWN})
VALUES (:id, :tenant_id, :name, :connector, CAST(:config AS jsonb), :credential,
    CAST(:options AS jsonb), :schedule_id, :enabled, 0, NULL, :now, :now)
ON CONFLICT (tenant_id, name) DO NOTHING
RETURNING {_SHOWN}
""")  # noqa: S608 - only our own list of columns is spliced in
_BY_ID = f"SELECT {_SHOWN} FROM sources WHERE tenant_id = :tenant_id AND id = :key"  # noqa: S608 - see above
_BY_NAME = f"SELECT {_SHOWN} FROM sources WHERE tenant_id = :tenant_id AND name = :key"  # noqa: S608 - see above
_PAGE = text(f"""
SELECT {_SHOWN} FROM sources
WHERE tenant_id = :tenant_id AND (CAST(:after AS text) IS NULL OR name > :after)
ORDER BY name LIMIT :limit
""")  # noqa: S608 - see above
_STORE = text("""
UPDATE sources SET config = CAST(:config AS jsonb), credential = :credential,
    options = CAST(:options AS jsonb), schedule_id = :schedule_id,
    enabled = :enabled, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :id
""")
_USERS = text("""
SELECT name FROM sources WHERE tenant_id = :tenant_id AND credential = :credential
ORDER BY name
""")
_FORGET = (
    text("DELETE FROM quarantine WHERE tenant_id = :tenant_id AND source_id = :id"),
    text("DELETE FROM raw_fetches WHERE tenant_id = :tenant_id AND source_id = :id"),
    text("DELETE FROM source_windows WHERE tenant_id = :tenant_id AND source_id = :id"),
    text("DELETE FROM source_series WHERE tenant_id = :tenant_id AND source_id = :id"),
    # Values name their run, so runs stay.
    text(
        "UPDATE ingest_runs SET source_id = NULL "
        "WHERE tenant_id = :tenant_id AND source_id = :id"
    ),
)
_DELETE = text("DELETE FROM sources WHERE tenant_id = :tenant_id AND id = :id")
_CLOSE = text("""
UPDATE sources SET failures = 0, open_until = NULL
WHERE tenant_id = :tenant_id AND id = :id AND (failures > 0 OR open_until IS NOT NULL)
""")
# Parts that were on their way when the breaker opened tell nothing new of the source.
_FAIL = text("""
UPDATE sources SET failures = failures + 1,
    open_until = CASE WHEN failures + 1 >= :most
        THEN CAST(:now AS timestamptz) + make_interval(secs => least(:longest_s,
            :first_s * power(2, least(failures + 1 - :most, 30)))) END
WHERE tenant_id = :tenant_id AND id = :id
    AND (open_until IS NULL OR open_until <= :now)
""")
_OPEN_UNTIL = text(
    "SELECT open_until FROM sources WHERE tenant_id = :tenant_id AND id = :id"
)


def create(
    connection: Connection, *, tenant_id: int, setup: Setup, now: datetime
) -> Source | None:
    """Create a source, or return None where its name is taken."""
    row = connection.execute(
        _CREATE,
        {
            **_written(setup),
            "id": new_id("src"),
            "tenant_id": tenant_id,
            "now": now,
        },
    ).first()
    return None if row is None else Source(**row._mapping)


def find(connection: Connection, *, tenant_id: int, source_id: str) -> Source | None:
    """Return the tenant's source by id, or None."""
    return _first(connection, _BY_ID, tenant_id, source_id)


def find_by_name(connection: Connection, *, tenant_id: int, name: str) -> Source | None:
    """Return the tenant's source by name, or None."""
    return _first(connection, _BY_NAME, tenant_id, name)


def hold(connection: Connection, *, tenant_id: int, name: str) -> Source | None:
    """Return the source as it is now; until the commit nobody else changes it.

    Nor can a part store what it read of it: that keeps the row, too.
    """
    return _first(connection, f"{_BY_NAME} FOR UPDATE", tenant_id, name)


def page(
    connection: Connection, *, tenant_id: int, after: str | None, limit: int
) -> list[Source]:
    """Return up to ``limit`` sources by name, after the name ``after``."""
    rows = connection.execute(
        _PAGE, {"tenant_id": tenant_id, "after": after, "limit": limit}
    )
    return [Source(**row._mapping) for row in rows]


def store(connection: Connection, *, source: Source, now: datetime) -> None:
    """Write what a tenant may change; the caller holds the source."""
    connection.execute(_STORE, {**_written(source), "now": now})


def using(connection: Connection, *, tenant_id: int, credential: str) -> list[str]:
    """Return the names of the sources that use a credential."""
    given = {"tenant_id": tenant_id, "credential": credential}
    return list(connection.scalars(_USERS, given))


def delete(connection: Connection, *, source: Source) -> None:
    """Delete a source that the caller holds, with all that is kept of its reading.

    Observations stay, and the runs that their values name.
    """
    named = {"tenant_id": source.tenant_id, "id": source.id}
    for statement in (*_FORGET, _DELETE):
        connection.execute(statement, named)


def is_open(source: Source, *, now: datetime) -> bool:
    """Return whether the breaker is open: then nothing may be asked of the source."""
    return source.open_until is not None and now < source.open_until


def note_success(connection: Connection, *, tenant_id: int, source_id: str) -> None:
    """Close the breaker and forget the failures; writes nothing where there are none.

    Call it in a transaction of its own: the row is locked until the commit.
    """
    connection.execute(_CLOSE, {"tenant_id": tenant_id, "id": source_id})


def note_failure(
    connection: Connection, *, tenant_id: int, source_id: str, now: datetime
) -> datetime | None:
    """Count a transient failure; return until when the breaker is open, or None.

    It opens with the fifth in a row, for 5 minutes. After those one may try again; if
    it fails, the breaker opens for twice as long, up to an hour. Failures noted while
    it is open do not count. Call it in a transaction of its own.
    """
    named = {"tenant_id": tenant_id, "id": source_id}
    connection.execute(
        _FAIL,
        {
            **named,
            "most": MOST_FAILURES,
            "first_s": _FIRST_OPEN_S,
            "longest_s": _LONGEST_OPEN_S,
            "now": now,
        },
    )
    found: datetime | None = connection.scalar(_OPEN_UNTIL, named)
    return found if found is not None and found > now else None


def _first(
    connection: Connection, query: str, tenant_id: int, key: str
) -> Source | None:
    row = connection.execute(text(query), {"tenant_id": tenant_id, "key": key}).first()
    return None if row is None else Source(**row._mapping)


def _written(setup: Setup) -> dict[str, Any]:
    return {
        **vars(setup),
        "config": orjson.dumps(setup.config).decode(),
        "options": orjson.dumps(setup.options).decode(),
    }
