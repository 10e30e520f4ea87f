"""Forecasts from outside as they were issued: which there are, and what each said."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Unpack

from db.observations import THEN, Stretch, ascending, asking, driver
from db.session import Connection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MINE = "tenant_id = nullif(current_setting('forebay.tenant', true), '')::integer"
_STRETCH = (
    f"{_MINE} AND series_id = %(series_id)s AND {{then}} "
    "AND ts >= %(start)s AND ts < %(end)s"
)
_ISSUES = f"""
SELECT DISTINCT issued_at FROM obs_version
WHERE {_STRETCH} AND issued_at IS NOT NULL ORDER BY issued_at
"""  # noqa: S608 - only conditions of ours are put in
_ISSUE = f"""
SELECT coalesce(string_agg(timestamptz_send(ts), ''), ''),
    coalesce(string_agg(float8send(value), ''), '')
FROM (
    SELECT DISTINCT ON (ts) ts, value FROM obs_version
    WHERE {_STRETCH} AND issued_at = %(issued_at)s
    ORDER BY ts, known_from DESC
) AS newest
"""  # noqa: S608 - same


def issues(
    connection: Connection, *, series_id: int, **stretch: Unpack[Stretch]
) -> list[datetime]:
    """Return when the forecasts of a series were issued, ascending.

    With a stretch, only those that say something of [start, end), and were known at
    ``as_of``.
    """
    asked = asking(stretch, series_id=series_id)
    with driver(connection).cursor() as cursor:
        rows = cursor.execute(_ISSUES.format(then=_then(stretch)), asked).fetchall()
    return [issued_at.astimezone(UTC) for (issued_at,) in rows]


def read_issue(
    connection: Connection,
    *,
    series_id: int,
    issued_at: datetime,
    **stretch: Unpack[Stretch],
) -> tuple["NDArray[np.datetime64]", "NDArray[np.float64]"]:
    """Return times (UTC, microseconds) and values of one issue, ascending.

    An issue that was corrected has its newest values, or those known at ``as_of``.
    """
    asked = asking(stretch, series_id=series_id, issued_at=issued_at)
    query = _ISSUE.format(then=_then(stretch))
    with driver(connection).cursor(binary=True) as cursor:
        times, values = cursor.execute(query, asked).fetchone() or (b"", b"")
    return ascending(times, values)


def _then(stretch: Stretch) -> str:
    if stretch.get("as_of") is None:
        return "true"
    return THEN[stretch.get("known_by", "published")]
