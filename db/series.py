"""Series: what a tenant calls its streams of observations, and how far they reach."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, or_, select, text, true
from sqlalchemy.dialects.postgresql import insert

from db.session import Connection
from db.tables import obs_current
from db.tables import series as table
from db.tables_sources import source_series, sources

CHANGEABLE = ("title", "unit", "frequency", "timezone", "tags")
"""The fields that ``upsert`` takes; the key is what names the series."""


@dataclass(frozen=True)
class Series:
    """One series; the id is for joins and never leaves the platform."""

    id: int
    key: str
    title: str
    unit: str | None
    frequency: str | None
    timezone: str
    tags: list[str]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class SeriesExtent(Series):
    """A series with how many observations it has, from the first to the last."""

    count: int
    first: datetime | None
    last: datetime | None


_COLUMNS = [table.c[field.name] for field in fields(Series)]

# Keys that exist are not tried to be inserted: each try would use up an id.
_CREATE = text("""
INSERT INTO series (tenant_id, key, title, timezone, tags, created_at, updated_at)
SELECT :tenant_id, key, key, 'UTC', '{}', :now, :now
FROM unnest(CAST(:keys AS text[])) AS wanted (key)
WHERE NOT EXISTS (SELECT FROM series
    WHERE series.tenant_id = :tenant_id AND series.key = wanted.key)
ORDER BY key
ON CONFLICT (tenant_id, key) DO NOTHING
""")


def upsert(
    connection: Connection,
    *,
    tenant_id: int,
    key: str,
    fields: Mapping[str, Any],
    now: datetime,
) -> Series:
    """Create a series or change the given fields; the others stay as they are.

    A new series has the key as its title, UTC, no tags, and the same ``created_at``
    and ``updated_at``.

    Raises:
        ValueError: a field is none of ``CHANGEABLE``.
    """
    if unknown := sorted(set(fields) - set(CHANGEABLE)):
        message = f"a series has no field {', '.join(unknown)} that can be changed"
        raise ValueError(message)
    change = {**fields, "updated_at": now}
    updated = connection.execute(
        table.update()
        .where(table.c.tenant_id == tenant_id, table.c.key == key)
        .values(change)
        .returning(*_COLUMNS)
    ).one_or_none()
    if updated is None:
        new = {"title": key, "timezone": "UTC", "tags": [], "created_at": now}
        updated = connection.execute(
            insert(table)
            .values({"tenant_id": tenant_id, "key": key, **new, **change})
            .on_conflict_do_update(
                index_elements=[table.c.tenant_id, table.c.key], set_=change
            )
            .returning(*_COLUMNS)
        ).one()
    return _series(updated)


def find(connection: Connection, *, tenant_id: int, key: str) -> Series | None:
    """Return a tenant's series, or None."""
    return find_many(connection, tenant_id=tenant_id, keys=[key]).get(key)


def find_many(
    connection: Connection, *, tenant_id: int, keys: Iterable[str]
) -> dict[str, Series]:
    """Return the series there are, by key; whoever asked sees which are not."""
    query = select(*_COLUMNS).where(
        table.c.tenant_id == tenant_id, table.c.key == func.any(list(keys))
    )
    return {row.key: _series(row) for row in connection.execute(query)}


def with_tag(connection: Connection, *, tenant_id: int, tag: str) -> list[Series]:
    """Return the series that carry a tag, by key."""
    query = select(*_COLUMNS).where(
        table.c.tenant_id == tenant_id, table.c.tags.contains([tag])
    )
    return [_series(row) for row in connection.execute(query.order_by(table.c.key))]


def of_source(connection: Connection, *, tenant_id: int, source: str) -> list[Series]:
    """Return the series that a source fills, by key; each once."""
    filled = (
        select(source_series.c.series_id)
        .join(sources, sources.c.id == source_series.c.source_id)
        .where(sources.c.tenant_id == tenant_id, sources.c.name == source)
    )
    query = select(*_COLUMNS).where(
        table.c.tenant_id == tenant_id, table.c.id.in_(filled)
    )
    return [_series(row) for row in connection.execute(query.order_by(table.c.key))]


def ids(
    connection: Connection, *, tenant_id: int, keys: Sequence[str], now: datetime
) -> dict[str, int]:
    """Return the ids of series, creating those that do not exist yet.

    Keys are created in order, so that two loads wait for each other, not in a circle.
    """
    wanted = {"tenant_id": tenant_id, "keys": sorted(set(keys)), "now": now}
    connection.execute(_CREATE, wanted)
    query = select(table.c.key, table.c.id).where(
        table.c.tenant_id == tenant_id, table.c.key == func.any(wanted["keys"])
    )
    return {row.key: row.id for row in connection.execute(query)}


def lock(connection: Connection, *, tenant_id: int, series_ids: Sequence[int]) -> None:
    """Keep other loads off these series until the transaction ends; in order of id."""
    connection.execute(
        select(table.c.id)
        .where(table.c.tenant_id == tenant_id, table.c.id == func.any(list(series_ids)))
        .order_by(table.c.id)
        .with_for_update(key_share=True)
    )


def extent(connection: Connection, *, tenant_id: int, key: str) -> SeriesExtent | None:
    """Return a series with its count, first and last observation, or None."""
    query = _extents(table.c.tenant_id == tenant_id, table.c.key == key)
    row = connection.execute(query).one_or_none()
    return SeriesExtent(**row._asdict()) if row else None


def page(
    connection: Connection,
    *,
    tenant_id: int,
    limit: int,
    after: str | None = None,
    tag: str | None = None,
    q: str | None = None,
) -> list[SeriesExtent]:
    """Return series by key, from the first key after ``after``.

    Args:
        connection: of the tenant.
        tenant_id: whose series.
        limit: how many at most.
        after: the last key of the page before.
        tag: only series that carry it.
        q: only series with this in their key or title, whatever the case.
    """
    conditions: list[ColumnElement[bool]] = [table.c.tenant_id == tenant_id]
    if after is not None:
        conditions.append(table.c.key > after)
    if tag is not None:
        conditions.append(table.c.tags.contains([tag]))
    if q:
        conditions.append(
            or_(
                table.c.key.icontains(q, autoescape=True),
                table.c.title.icontains(q, autoescape=True),
            )
        )
    query = _extents(*conditions).order_by(table.c.key).limit(limit)
    return [SeriesExtent(**row._asdict()) for row in connection.execute(query)]


def _extents(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Select series with what the index knows of them: its two ends, and a count."""
    stored = obs_current.c
    reach = (
        select(
            func.count(stored.value).label("count"),
            func.min(stored.ts).label("first"),
            func.max(stored.ts).label("last"),
        )
        .where(stored.tenant_id == table.c.tenant_id, stored.series_id == table.c.id)
        .where(stored.value.is_not(None))
        .lateral("reach")
    )
    return (
        select(*_COLUMNS, reach)
        .select_from(table.join(reach, true()))
        .where(*conditions)
    )


def _series(row: Row[Any]) -> Series:
    return Series(**row._asdict())
