"""Forecasts from outside as they were issued: which there are, and what each said."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Unpack

from db.observations import THEN, Stretch, ascending, asking, driver, instants
from db.session import Connection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MINE = (
    "tenant_id = (SELECT nullif(current_setting('forebay.tenant', true), '')::integer)"
)
_STRETCH = (
    f"{_MINE} AND series_id = %(series_id)s AND {{then}} "
    "AND ts >= %(start)s AND ts < %(end)s"
)
# The index knows the issues in order, so that a page of them ends the reading.
_ISSUES = f"""
SELECT issued_at, min(known_from), min(ingested_at), min(ts), max(ts),
    count(DISTINCT ts)
FROM obs_version
WHERE {_STRETCH} AND issued_at IS NOT NULL
    AND issued_at < coalesce(%(before)s, 'infinity'::timestamptz)
GROUP BY issued_at ORDER BY issued_at DESC LIMIT %(limit)s
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
# What withdraws a value of a forecast withdraws what the issues before it said.
_TOLD = f"""
SELECT coalesce(string_agg(timestamptz_send(ts), '' ORDER BY ts, issued, place), ''),
    coalesce(string_agg(timestamptz_send(known), '' ORDER BY ts, issued, place), ''),
    coalesce(string_agg(timestamptz_send(issued), '' ORDER BY ts, issued, place), ''),
    coalesce(string_agg(float8send(value), '' ORDER BY ts, issued, place), ''),
    coalesce(string_agg(boolsend(dated), '' ORDER BY ts, issued, place), '')
FROM (
    SELECT ts, known_from AS place, coalesce(value, 'NaN') AS value,
        {{known}} AS known, basis = 'published' AS dated,
        coalesce(issued_at, max(issued_at)
            OVER (PARTITION BY ts ORDER BY known_from), '-infinity') AS issued
    FROM obs_version
    WHERE {_STRETCH} AND (issued_at IS NULL OR {{issued}})
) AS told
"""  # noqa: S608 - same
_KNOWN = {
    "published": "known_from",
    "received": "greatest(known_from, ingested_at)",
}


@dataclass(frozen=True)
class Issue:
    """One issue of a forecast.

    Attributes:
        issued_at: when it was issued.
        known_from: since when the first of it counts as known.
        received_at: when the first of it was stored here.
        first: the first time it says something of.
        last: the latest one.
        count: of how many times it says something.
    """

    issued_at: datetime
    known_from: datetime
    received_at: datetime
    first: datetime
    last: datetime
    count: int


class Told(NamedTuple):
    """All that was said of the times of a series.

    Sorted by time; of one time in the order in which one row gives way to the next: by
    issue, and then by publication.

    Attributes:
        times: what each row is of, shape (n,), UTC.
        known: since when it was known, shape (n,), UTC.
        issued: when it was issued, shape (n,), UTC; NaT where it is no forecast.
        values: shape (n,); NaN where a value was withdrawn.
        dated: whether the source said when it published the row, shape (n,).
    """

    times: "NDArray[np.datetime64]"
    known: "NDArray[np.datetime64]"
    issued: "NDArray[np.datetime64]"
    values: "NDArray[np.float64]"
    dated: "NDArray[np.bool_]"


def page(
    connection: Connection,
    *,
    series_id: int,
    limit: int | None = None,
    before: datetime | None = None,
    **stretch: Unpack[Stretch],
) -> list[Issue]:
    """Return the issues of a series, the newest first.

    Args:
        connection: of the tenant.
        series_id: whose issues.
        limit: how many at most; None for all.
        before: only those that were issued earlier.
        stretch: only those that say something of [start, end), and were known at
            ``as_of``.
    """
    asked = asking(stretch, series_id=series_id, limit=limit, before=before)
    with driver(connection).cursor() as cursor:
        found = cursor.execute(_ISSUES.format(then=_then(stretch)), asked).fetchall()
    return [
        Issue(issued, known, received, first, last, count)
        for *when, count in found
        for issued, known, received, first, last in [_utc(when)]
    ]


def issues(
    connection: Connection, *, series_id: int, **stretch: Unpack[Stretch]
) -> list[datetime]:
    """Return when the forecasts of a series were issued, ascending; see ``page``."""
    found = page(connection, series_id=series_id, **stretch)
    return [one.issued_at for one in reversed(found)]


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


def told(connection: Connection, *, series_id: int, **stretch: Unpack[Stretch]) -> Told:
    """Return every version of [start, end), of observations and forecasts alike.

    With ``as_of`` only what was known at that instant. ``known_by`` says whether rows
    count since they were published, or since they were received as well.
    """
    import numpy as np  # noqa: PLC0415 - the web door imports this file without it

    asked = asking(stretch, series_id=series_id)
    query = _TOLD.format(
        then=_then(stretch),
        known=_KNOWN[stretch.get("known_by", "published")],
        issued="true" if stretch.get("as_of") is None else "issued_at <= %(as_of)s",
    )
    with driver(connection).cursor(binary=True) as cursor:
        times, known, issued, values, dated = (
            cursor.execute(query, asked).fetchone() or (b"",) * 5
        )
    since = np.frombuffer(issued, ">i8").astype(np.int64)
    when = instants(issued)
    when[since == np.iinfo(np.int64).min] = np.datetime64("NaT")
    return Told(
        times=instants(times),
        known=instants(known),
        issued=when,
        values=np.frombuffer(values, ">f8").astype(np.float64),
        dated=np.frombuffer(dated, np.bool_).copy(),
    )


def _utc(when: list[datetime]) -> list[datetime]:
    return [one.astimezone(UTC) for one in when]


def _then(stretch: Stretch) -> str:
    if stretch.get("as_of") is None:
        return "true"
    return THEN[stretch.get("known_by", "published")]
