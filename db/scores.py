"""Scores: what came of each stored forecast, matched step by step in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.monitoring import LARGEST, LATEST, VERSION
from db.session import Connection

_MOST_SCALED = 2_000
"""Observations that tell the scale of a series: more would tell no more."""


@dataclass(frozen=True)
class InUse:
    """A version of many series, as forecasts name it: what it states of all of them."""

    model: str
    frequency: str
    season: int | None
    mase: float


@dataclass(frozen=True)
class Lag:
    """How a version's error becomes that of a series: by its seasonal naive's error."""

    model: str
    lag_s: float
    mase: float


@dataclass(frozen=True)
class Window:
    """Which forecasts are matched again, and when that is."""

    days: int
    now: datetime
    lags: Sequence[Lag] = ()


@dataclass(frozen=True)
class Scored:
    """What a matching found: forecasts held against observations, and what changed."""

    forecasts: int
    points: int
    changed: int


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


# A version states one error for all series it learned from. In the scale of a series it
# is that share of what its seasonal naive missed by, when the version was trained.
_SCALE = """
SELECT avg(abs(scaled.value - earlier.value) ORDER BY scaled.ts) AS scale
FROM (SELECT ts, value FROM obs_current AS o
    WHERE o.tenant_id = :tenant_id AND o.series_id = due.series_id
        AND o.ts < due.window_end AND o.value BETWEEN -:largest AND :largest
    ORDER BY ts DESC LIMIT :most) AS scaled
JOIN obs_current AS earlier ON earlier.tenant_id = :tenant_id
    AND earlier.series_id = due.series_id
    AND earlier.ts = scaled.ts - lags.lag_s * interval '1 second'
    AND earlier.value BETWEEN -:largest AND :largest
"""
# What was asked for and not what auto took that night: one name for many nights. The
# means are of ordered rows, so that a second run finds the same bits. Forecasts are
# scored one by one, through two indexes: a plan that knows nothing of how many there
# are, on the first night, must not be a slow one.
_SCORE = text(f"""
WITH latest AS ({LATEST}
), due AS (
    SELECT f.id, f.series_id, f.quantiles, f.model, version.window_end,
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
    {VERSION}
    WHERE known.forecast_id IS NULL
        OR known.last_at > latest.ts - :days * interval '1 day'
), scales AS (
    SELECT due.series_id, lags.model, lags.mase * naive.scale AS mae, naive.scale
    FROM (SELECT DISTINCT series_id, model, window_end FROM due
        WHERE stated IS NULL AND window_end IS NOT NULL) AS due
    JOIN jsonb_to_recordset(CAST(:lags AS jsonb)) AS lags (model text,
        lag_s double precision, mase double precision) ON lags.model = due.model
    CROSS JOIN LATERAL ({_SCALE}) AS naive
), matched AS (
    SELECT due.*, one.* FROM due CROSS JOIN LATERAL (
        SELECT max(p.ts) AS last_at, count(*) AS steps, count(o.value) AS points,
            max(p.ts) FILTER (WHERE o.value IS NOT NULL) AS matched_until,
            avg(abs(o.value - p.mean) ORDER BY p.ts) AS mae,
            avg(loss.pinball ORDER BY p.ts) AS pinball,
            avg(abs(o.value) ORDER BY p.ts) AS size,
            avg(CASE WHEN cardinality(p.q) > 1 THEN CAST(o.value BETWEEN p.q[1]
                AND p.q[cardinality(p.q)] AS integer) END) AS coverage
        FROM forecast_points AS p LEFT JOIN obs_current AS o
            ON o.tenant_id = :tenant_id AND o.series_id = due.series_id
            AND o.ts = p.ts AND o.value BETWEEN -:largest AND :largest
        CROSS JOIN LATERAL (
            SELECT avg(greatest(level * (o.value - q), (level - 1) * (o.value - q))
                ORDER BY level) AS pinball
            FROM unnest(due.quantiles, p.q) AS one (level, q)
            WHERE o.value IS NOT NULL) AS loss
        WHERE p.forecast_id = due.id AND p.tenant_id = :tenant_id) AS one
    WHERE steps > 0
), kept AS (
    INSERT INTO forecast_scores AS known (forecast_id, tenant_id, series_id,
        forecaster, last_at, matched_until, steps, points, mae, scaled, pinball, wql,
        coverage, nominal_coverage, size, baseline_mae, scored_at)
    SELECT matched.id, :tenant_id, matched.series_id, forecaster, last_at,
        matched_until, steps, points, matched.mae,
        coalesce(matched.mae * stated_mase / nullif(stated, 0),
            matched.mae / nullif(scales.scale, 0)),
        pinball, 2 * pinball / nullif(size, 0), coverage,
        CASE WHEN cardinality(quantiles) > 1
            THEN quantiles[cardinality(quantiles)] - quantiles[1] END,
        size, coalesce(stated, trained, scales.mae), :now
    FROM matched LEFT JOIN scales ON scales.series_id = matched.series_id
        AND scales.model = matched.model AND stated IS NULL
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
_IN_USE = text(f"""
SELECT DISTINCT f.model, version.frequency,
    CAST(version.params ->> 'season' AS integer) AS season,
    CAST(version.metrics ->> 'mase' AS double precision) AS mase
FROM forecasts AS f {VERSION}
WHERE f.tenant_id = :tenant_id AND f.series_id = ANY(:ids)
    AND f.evaluation ->> 'mae' IS NULL
    AND version.series_count > 1 AND version.metrics ->> 'mase' IS NOT NULL
ORDER BY f.model
""")  # noqa: S608 - only our own fragment is spliced in
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


def in_use(
    connection: Connection, *, tenant_id: int, series_ids: Sequence[int]
) -> list[InUse]:
    """Return the versions whose forecasts state no error of the series itself."""
    given = {"tenant_id": tenant_id, "ids": list(series_ids)}
    return [InUse(**row._mapping) for row in connection.execute(_IN_USE, given)]


def score(
    connection: Connection,
    *,
    tenant_id: int,
    series_ids: Sequence[int],
    window: Window,
) -> Scored:
    """Hold forecasts against the current observations; write what has changed.

    Scored are forecasts that never were, and those that reach into the latest days of
    their series: there a late or revised observation still counts.
    """
    given = {"tenant_id": tenant_id, "ids": list(series_ids), "largest": LARGEST}
    told = {
        "days": window.days,
        "now": window.now,
        "lags": orjson.dumps([vars(one) for one in window.lags]).decode(),
        "most": _MOST_SCALED,
    }
    row = connection.execute(_SCORE, {**given, **told}).one()
    return Scored(int(row.forecasts), int(row.points), int(row.changed))


def page(
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
