"""Forecasts held against what came: errors of each, rolling errors, recent values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

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
class Scored:
    """What a matching found: forecasts held against observations, and what changed."""

    forecasts: int
    points: int
    changed: int


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


@dataclass(frozen=True)
class Score:
    """What came of one stored forecast; errors are None where nothing was matched."""

    forecast_id: str
    issued_at: datetime
    cutoff: datetime
    model: str
    forecaster: str
    last_at: datetime
    matched_until: datetime | None
    steps: int
    points: int
    mae: float | None
    scaled: float | None
    pinball: float | None
    wql: float | None
    coverage: float | None
    nominal_coverage: float | None
    baseline_mae: float | None
    scored_at: datetime


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
_VERSION = """
LEFT JOIN registry_entries AS entry ON entry.tenant_id = :tenant_id
    AND entry.name = substring(f.model FROM '^(.+)@[0-9]{1,9}$')
LEFT JOIN registry_versions AS version ON version.entry_id = entry.id
    AND version.number = CAST(substring(f.model FROM '@([0-9]{1,9})$') AS integer)
"""
_LATEST = """
SELECT wanted.id AS series_id, newest.ts
FROM unnest(CAST(:ids AS integer[])) AS wanted (id)
CROSS JOIN LATERAL (SELECT ts FROM obs_current AS o
    WHERE o.tenant_id = :tenant_id AND o.series_id = wanted.id AND o.value IS NOT NULL
    ORDER BY ts DESC LIMIT 1) AS newest
"""
# What was asked for and not what auto took that night: one name for many nights. The
# means are of ordered rows, so that a second run finds the same bits.
_SCORE = text(f"""
WITH latest AS ({_LATEST}
), due AS (
    SELECT f.id, f.series_id, f.quantiles,
        coalesce(entry.name, CASE json_typeof(jobs.params -> 'model')
            WHEN 'string' THEN jobs.params ->> 'model'
            WHEN 'array' THEN (SELECT string_agg(one, '+' ORDER BY place)
                FROM json_array_elements_text(jobs.params -> 'model')
                    WITH ORDINALITY AS names (one, place)) END,
            f.model) AS forecaster,
        CAST(f.evaluation ->> 'mae' AS double precision) AS stated,
        CAST(f.evaluation ->> 'mase' AS double precision) AS stated_mase,
        CASE WHEN version.series_count = 1
            THEN CAST(version.metrics ->> 'mae' AS double precision) END AS trained
    FROM latest JOIN forecasts AS f ON f.series_id = latest.series_id
        AND f.tenant_id = :tenant_id AND f.cutoff < latest.ts
    JOIN jobs ON jobs.id = f.job_id
    LEFT JOIN forecast_scores AS known ON known.forecast_id = f.id
    {_VERSION}
    WHERE known.forecast_id IS NULL
        OR known.last_at > latest.ts - :days * interval '1 day'
), matched AS (
    SELECT due.id, max(p.ts) AS last_at, count(*) AS steps, count(o.value) AS points,
        max(p.ts) FILTER (WHERE o.value IS NOT NULL) AS matched_until,
        avg(abs(o.value - p.mean) ORDER BY p.ts) AS mae,
        avg(loss.pinball ORDER BY p.ts) AS pinball,
        avg(abs(o.value) ORDER BY p.ts) AS size,
        avg(CASE WHEN cardinality(p.q) > 1 THEN CAST(o.value BETWEEN p.q[1]
            AND p.q[cardinality(p.q)] AS integer) END) AS coverage
    FROM due JOIN forecast_points AS p
        ON p.forecast_id = due.id AND p.tenant_id = :tenant_id
    LEFT JOIN obs_current AS o ON o.tenant_id = :tenant_id
        AND o.series_id = due.series_id AND o.ts = p.ts
        AND o.value BETWEEN -:largest AND :largest
    CROSS JOIN LATERAL (
        SELECT avg(greatest(level * (o.value - q), (level - 1) * (o.value - q))
            ORDER BY level) AS pinball
        FROM unnest(due.quantiles, p.q) AS one (level, q)
        WHERE o.value IS NOT NULL) AS loss
    GROUP BY due.id
), kept AS (
    INSERT INTO forecast_scores AS known (forecast_id, tenant_id, series_id,
        forecaster, last_at, matched_until, steps, points, mae, scaled, pinball, wql,
        coverage, nominal_coverage, size, baseline_mae, scored_at)
    SELECT id, :tenant_id, series_id, forecaster, last_at, matched_until, steps, points,
        mae, mae * stated_mase / nullif(stated, 0), pinball,
        2 * pinball / nullif(size, 0), coverage,
        CASE WHEN cardinality(quantiles) > 1
            THEN quantiles[cardinality(quantiles)] - quantiles[1] END,
        size, coalesce(stated, trained), :now
    FROM matched JOIN due USING (id)
    ON CONFLICT (forecast_id) DO UPDATE SET forecaster = excluded.forecaster,
        last_at = excluded.last_at, matched_until = excluded.matched_until,
        steps = excluded.steps, points = excluded.points, mae = excluded.mae,
        scaled = excluded.scaled, pinball = excluded.pinball, wql = excluded.wql,
        coverage = excluded.coverage, nominal_coverage = excluded.nominal_coverage,
        size = excluded.size, baseline_mae = excluded.baseline_mae,
        scored_at = excluded.scored_at
    WHERE (known.forecaster, known.matched_until, known.points, known.mae,
            known.pinball, known.coverage, known.size, known.baseline_mae)
        IS DISTINCT FROM (excluded.forecaster, excluded.matched_until, excluded.points,
            excluded.mae, excluded.pinball, excluded.coverage, excluded.size,
            excluded.baseline_mae)
    RETURNING 1
)
SELECT count(*) AS forecasts, coalesce(sum(points), 0) AS points,
    (SELECT count(*) FROM kept) AS changed
FROM matched WHERE points > 0
""")  # noqa: S608 - only our own fragments are spliced in
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
WITH latest AS ({_LATEST}
), windows AS (
    SELECT latest.series_id, latest.ts AS until, version.window_end AS learned_until,
        latest.ts - :days * interval '1 day' AS since
    FROM latest
    CROSS JOIN LATERAL (SELECT model FROM forecasts
        WHERE forecasts.series_id = latest.series_id
            AND forecasts.tenant_id = :tenant_id
        ORDER BY issued_at DESC, id DESC LIMIT 1) AS f
    {_VERSION}
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
_SCORES = text("""
SELECT score.forecast_id, f.issued_at, f.cutoff, f.model, score.forecaster,
    score.last_at, score.matched_until, score.steps, score.points, score.mae,
    score.scaled, score.pinball, score.wql, score.coverage, score.nominal_coverage,
    score.baseline_mae, score.scored_at
FROM forecast_scores AS score JOIN forecasts AS f ON f.id = score.forecast_id
WHERE score.tenant_id = :tenant_id AND score.series_id = :series_id
    AND (CAST(:before AS text) IS NULL OR score.forecast_id < :before)
ORDER BY score.forecast_id DESC LIMIT :limit
""")


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


def score(
    connection: Connection,
    *,
    tenant_id: int,
    series_ids: Sequence[int],
    days: int,
    now: datetime,
) -> Scored:
    """Hold forecasts against the current observations; write what has changed.

    Scored are forecasts that never were, and those that reach into the latest ``days``
    of their series: there a late or revised observation still counts.
    """
    given = {"tenant_id": tenant_id, "ids": list(series_ids), "days": days, "now": now}
    row = connection.execute(_SCORE, {**given, "largest": LARGEST}).one()
    return Scored(int(row.forecasts), int(row.points), int(row.changed))


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


def scores(
    connection: Connection,
    *,
    tenant_id: int,
    series_id: int,
    before: str | None,
    limit: int,
) -> list[Score]:
    """Return up to ``limit`` scores of a series, of the newest forecast first."""
    given: dict[str, Any] = {"tenant_id": tenant_id, "series_id": series_id}
    rows = connection.execute(_SCORES, {**given, "before": before, "limit": limit})
    return [Score(**row._mapping) for row in rows]
