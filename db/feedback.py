"""What people say of stretches of series: a true anomaly, a false one, expected."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from db.ids import new_id
from db.session import Connection


@dataclass(frozen=True)
class Label:
    """A label of a half-open stretch; one that was revoked counts no more."""

    id: str
    series_id: int
    unique_id: str
    start_at: datetime
    end_at: datetime
    label: str
    kind: str | None
    note: str
    key_id: str | None
    created_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None


@dataclass(frozen=True)
class NewLabel:
    """A label to be kept; without ``kind`` it is about any."""

    series_id: int
    start_at: datetime
    end_at: datetime
    label: str
    kind: str | None = None
    note: str = ""
    key_id: str | None = None


_LABEL = """
SELECT one.id, series_id, series.key AS unique_id, start_at, end_at, label, one.kind,
    note, key_id, one.created_at, revoked_at, revoked_by
FROM feedback AS one JOIN series ON series.id = series_id
WHERE one.tenant_id = :tenant_id"""
_FIND = text(f"{_LABEL} AND one.id = :id")
_OF_SERIES = text(f"""{_LABEL} AND series_id = ANY(:ids) AND revoked_at IS NULL
ORDER BY start_at, one.id""")
_PAGE = text(f"""{_LABEL}
    AND (CAST(:series AS text) IS NULL OR series.key = :series)
    AND (CAST(:label AS text) IS NULL OR label = :label)
    AND (:revoked OR revoked_at IS NULL)
    AND (CAST(:before AS text) IS NULL OR one.id < :before)
ORDER BY one.id DESC LIMIT :limit""")
_ADD = text("""
INSERT INTO feedback (id, tenant_id, series_id, start_at, end_at, label, kind, note,
    key_id, created_at)
VALUES (:id, :tenant_id, :series_id, :start_at, :end_at, :label, :kind, :note,
    :key_id, :now)
""")
_REVOKE = text("""
UPDATE feedback SET revoked_at = :now, revoked_by = :key_id
WHERE tenant_id = :tenant_id AND id = :id AND revoked_at IS NULL
""")


@dataclass(frozen=True)
class Wanted:
    """Which labels a list shows; None means any."""

    series: str | None = None
    label: str | None = None
    revoked: bool = False


def add(
    connection: Connection, *, tenant_id: int, new: NewLabel, now: datetime
) -> Label:
    """Keep a label and return it."""
    label_id = new_id("lbl")
    given = {**vars(new), "id": label_id, "tenant_id": tenant_id, "now": now}
    connection.execute(_ADD, given)
    found = find(connection, tenant_id=tenant_id, label_id=label_id)
    if found is None:
        raise LookupError(label_id)
    return found


def find(connection: Connection, *, tenant_id: int, label_id: str) -> Label | None:
    """Return a label, revoked or not, or None."""
    row = connection.execute(_FIND, {"tenant_id": tenant_id, "id": label_id}).first()
    return None if row is None else Label(**row._mapping)


def of_series(
    connection: Connection, *, tenant_id: int, series_ids: Sequence[int]
) -> dict[int, list[Label]]:
    """Return the labels that count, by series, in the order of their starts."""
    given = {"tenant_id": tenant_id, "ids": list(series_ids)}
    found: dict[int, list[Label]] = {one: [] for one in series_ids}
    for row in connection.execute(_OF_SERIES, given):
        found[row.series_id].append(Label(**row._mapping))
    return found


def page(
    connection: Connection,
    *,
    tenant_id: int,
    wanted: Wanted,
    before: str | None,
    limit: int,
) -> list[Label]:
    """Return up to ``limit`` labels older than the id ``before``, newest first."""
    given = {"tenant_id": tenant_id, **vars(wanted), "before": before, "limit": limit}
    return [Label(**row._mapping) for row in connection.execute(_PAGE, given)]


def revoke(
    connection: Connection,
    *,
    tenant_id: int,
    label_id: str,
    key_id: str | None,
    now: datetime,
) -> bool:
    """Take a label back; return whether it counted until now."""
    given = {"tenant_id": tenant_id, "id": label_id, "key_id": key_id, "now": now}
    return bool(connection.execute(_REVOKE, given).rowcount)
