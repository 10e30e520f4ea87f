"""What monitoring looks at: series with forecasts, rolling errors, recent values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from db import copy_binary
from db.session import Connection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST = 1e100
"""Larger values are not matched: the rooms refuse them, and sums would overflow."""


@dataclass(frozen=True)
class Watched:
    """A series that has stored forecasts."""

    id: int
    key: str
    frequency: str | None


@dataclass(frozen=True)
class Rolling:
    """The error of one forecaster of one series over its latest forecasts.

    ``baseline`` is the error that was stated when they were made, weighed alike.
    """

    series_id: int
    forecaster: str
    forecasts: int
    points: int
    mae: float
    baseline: float
    scaled: float | None
    coverage: float | None
    nominal_coverage: float | None
    size: float
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Recent:
    """The latest observations of a series; those from ``split`` on are the recent ones.

    ``learned_until`` is the end of the window that the version in use learned from.
    """

    series_id: int
    times: "NDArray[np.datetime64]"
    values: "NDArray[np.float64]"
    split: int
    learned_until: datetime | None


_WATCHED = text("""
SELECT id, key, frequency FROM series
WHERE tenant_id = :tenant_id
    AND (CAST(:keys AS text[]) IS NULL OR key = ANY(:keys))
    AND (CAST(:tag AS text) IS NULL OR tags @> ARRAY[CAST(:tag AS text)])
    AND EXISTS (SELECT FROM forecasts
        WHERE forecasts.series_id = series.id AND forecasts.tenant_id = :tenant_id)
ORDER BY key
""")
# A forecast by a registered version carries "entry@number" as its model.
VERSION = """
LEFT JOIN registry_entries AS entry ON entry.tenant_id = :tenant_id
    AND entry.name = substring(f.model FROM '^(.+)@[0-9]{1,9}$')
LEFT JOIN registry_versions AS version ON version.entry_id = entry.id
    AND version.number = CAST(substring(f.model FROM '@([0-9]{1,9})$') AS integer)
"""
LATEST = """
SELECT wanted.id AS series_id, newest.ts
FROM unnest(CAST(:ids AS integer[])) AS wanted (id)
CROSS JOIN LATERAL (SELECT ts FROM obs_current AS o
    WHERE o.tenant_id = :tenant_id AND o.series_id = wanted.id AND o.value IS NOT NULL
    ORDER BY ts DESC LIMIT 1) AS newest
"""
_ROLLING = text("""
SELECT series_id, forecaster, count(*) AS forecasts, sum(points) AS points,
    sum(mae * points ORDER BY forecast_id) / sum(points) AS mae,
    sum(baseline_mae * points ORDER BY forecast_id) / sum(points) AS baseline,
    sum(scaled * points ORDER BY forecast_id)
        / sum(points) FILTER (WHERE scaled IS NOT NULL) AS scaled,
    sum(coverage * points ORDER BY forecast_id)
        / sum(points) FILTER (WHERE coverage IS NOT NULL) AS coverage,
    max(nominal_coverage) AS nominal_coverage,
    sum(size * points ORDER BY forecast_id) / sum(points) AS size,
    min(cutoff) AS first, max(matched_until) AS last
FROM (
    SELECT score.*, f.cutoff, row_number() OVER (
        PARTITION BY score.series_id, forecaster ORDER BY f.issued_at DESC, f.id DESC)
        AS place
    FROM unnest(CAST(:ids AS integer[])) AS wanted (id)
    CROSS JOIN LATERAL (SELECT max(matched_until) AS ts FROM forecast_scores AS one
        WHERE one.series_id = wanted.id AND one.tenant_id = :tenant_id) AS newest
    JOIN forecast_scores AS score ON score.series_id = wanted.id
        AND score.tenant_id = :tenant_id
        AND score.matched_until > newest.ts - :days * interval '1 day'
    JOIN forecasts AS f ON f.id = score.forecast_id
    WHERE points > 0 AND baseline_mae IS NOT NULL
) AS latest
WHERE CAST(:last AS integer) IS NULL OR place <= :last
GROUP BY series_id, forecaster ORDER BY series_id, forecaster
""")
# One row crosses the wire for a series. The reference ends where the recent window
# begins, or earlier, where the version in use stopped learning.
_RECENT = text(f"""
WITH latest AS ({LATEST}
), windows AS (
    SELECT latest.series_id, latest.ts AS until, version.window_end AS learned_until,
        latest.ts - :days * interval '1 day' AS since
    FROM latest
    CROSS JOIN LATERAL (SELECT model FROM forecasts
        WHERE forecasts.series_id = latest.series_id
            AND forecasts.tenant_id = :tenant_id
        ORDER BY issued_at DESC, id DESC LIMIT 1) AS f
    {VERSION}
)
SELECT windows.series_id, learned_until,
    coalesce(string_agg(timestamptz_send(ts), '' ORDER BY ts), '') AS times,
    coalesce(string_agg(float8send(value), '' ORDER BY ts), '') AS values,
    count(*) FILTER (WHERE ts <= since) AS split
FROM windows CROSS JOIN LATERAL (
    (SELECT ts, value FROM obs_current AS o
    WHERE o.tenant_id = :tenant_id AND o.series_id = windows.series_id
        AND o.ts > since AND o.value BETWEEN -:largest AND :largest
    ORDER BY ts DESC LIMIT :most)
    UNION ALL
    (SELECT ts, value FROM obs_current AS o
    WHERE o.tenant_id = :tenant_id AND o.series_id = windows.series_id
        AND o.ts <= since AND o.ts < coalesce(learned_until, 'infinity')
        AND o.ts > least(since, learned_until) - :days * interval '1 day'
        AND o.value BETWEEN -:largest AND :largest
    ORDER BY ts DESC LIMIT :most)) AS seen
GROUP BY windows.series_id, learned_until ORDER BY windows.series_id
""")  # noqa: S608 - only our own fragments are spliced in


def watched(
    connection: Connection,
    *,
    tenant_id: int,
    keys: Sequence[str] | None,
    tag: str | None,
) -> list[Watched]:
    """Return the series with stored forecasts, by key: of these keys, with this tag."""
    given = {"tenant_id": tenant_id, "tag": tag}
    chosen = None if keys is None else list(keys)
    rows = connection.execute(_WATCHED, {**given, "keys": chosen})
    return [Watched(**row._mapping) for row in rows]


def rolling(
    connection: Connection,
    *,
    tenant_id: int,
    series_ids: Sequence[int],
    days: int,
    last: int | None,
) -> list[Rolling]:
    """Return the rolling errors of every series and forecaster.

    Args:
        connection: of the tenant.
        tenant_id: whose series.
        series_ids: which of them.
        days: the window, counted back from the series' latest match.
        last: at most so many of a forecaster's latest forecasts; None for all.
    """
    given = {"tenant_id": tenant_id, "ids": list(series_ids), "days": days}
    rows = connection.execute(_ROLLING, {**given, "last": last})
    return [Rolling(**row._mapping) for row in rows]


def recent(
    connection: Connection,
    *,
    tenant_id: int,
    series_ids: Sequence[int],
    days: int,
    most: int,
) -> Iterator[Recent]:
    """Yield each series' latest ``days`` and their reference, ``most`` values of each.

    Only finite values come; times are UTC in microseconds, ascending.
    """
    import numpy as np  # noqa: PLC0415 - the web door imports this file without it

    given = {"tenant_id": tenant_id, "ids": list(series_ids), "days": days}
    rows = connection.execute(_RECENT, {**given, "most": most, "largest": LARGEST})
    for row in rows:
        since_2000 = np.frombuffer(row.times, ">i8").astype(np.int64)
        times = (since_2000 + copy_binary.EPOCH_US).view("M8[us]")
        values = np.frombuffer(row.values, ">f8").astype(np.float64)
        yield Recent(row.series_id, times, values, row.split, row.learned_until)
