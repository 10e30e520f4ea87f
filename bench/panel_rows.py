"""Panels for a bench: series and forecasts, written straight into the tables."""

from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Each series has a level, a trend, a season and noise of its own, the same each run.
_SERIES = """
WITH made AS (
    INSERT INTO series (tenant_id, key, title, frequency, timezone, tags, created_at,
        updated_at)
    SELECT %(tenant)s, %(tag)s || to_char(number, 'FM0000000'), 'bench', %(step)s,
        'UTC', ARRAY[%(tag)s], now(), now()
    FROM generate_series(1, %(count)s::integer) AS number
    RETURNING id, key
)
INSERT INTO obs_current (tenant_id, series_id, ts, value, known_from, run_id)
SELECT %(tenant)s, id, timestamptz '2016-01-01 00:00+00' + at * %(every)s::interval,
    50 + hashint4(id) %% 20 + 0.1 * (hashint4(id + 7) %% 5) * at
        + 10 * sin(2 * pi() * (at %% %(season)s) / %(season)s)
        + (hashint8(id::bigint * 1000003 + at) %% 1000) / 200.0, now(), 'run_bench'
FROM made CROSS JOIN generate_series(0, %(length)s::integer - 1) AS at
"""
_READ = """
SELECT key, array_agg(extract(epoch FROM ts)::bigint ORDER BY ts),
    array_agg(value ORDER BY ts)
FROM series JOIN obs_current ON series_id = id
WHERE tags @> ARRAY[%(tag)s] GROUP BY key ORDER BY key
"""

_HEADERS = """
INSERT INTO forecasts (id, tenant_id, job_id, series_id, cutoff, issued_at, model,
    quantiles, warnings)
SELECT 'fc_' || lpad(to_hex(series.id), 32, '0'), tenant_id, %(job)s, series.id, now(),
    now(), 'auto', ARRAY[0.1, 0.5, 0.9], '[]'
FROM series WHERE tags @> ARRAY[%(tag)s]
"""
_POINTS = """
INSERT INTO forecast_points (tenant_id, forecast_id, ts, mean, q)
SELECT tenant_id, id, timestamptz '2026-01-01 00:00+00' + at * interval '1 hour',
    hashtext(id) / 1e6 + at, ARRAY[at - 1.5, hashtext(id) / 1e6 + at, at + 1.5]
FROM forecasts CROSS JOIN generate_series(1, %(steps)s::integer) AS at
WHERE job_id = %(job)s
"""


def add_series(
    url: str, *, tenant_id: int, tag: str, count: int, length: int, monthly: bool = True
) -> None:
    """Store series that carry a tag: monthly ones, else hourly ones."""
    step = ("MS", "1 month", 12) if monthly else ("1h", "1 hour", 24)
    frequency, every, season = step
    given = {"tenant": tenant_id, "tag": tag, "count": count, "length": length}
    given |= {"step": frequency, "every": every, "season": season}
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        connection.execute(_SERIES, given)
    _tidy(url)


def read_series(
    url: str, *, tag: str
) -> "tuple[list[str], NDArray[np.datetime64], NDArray[np.float64]]":
    """Return keys, times and values of the series of a tag, all of one length."""
    import numpy as np  # noqa: PLC0415 - only where a bare side is measured

    with psycopg.connect(url) as connection:
        rows = connection.execute(_READ, {"tag": tag}).fetchall()
    times = np.array([row[1] for row in rows], dtype="M8[s]").astype("M8[us]")
    return [row[0] for row in rows], times, np.array([row[2] for row in rows], float)


def add_points(url: str, *, job_id: str, tag: str, steps: int) -> int:
    """Store forecasts of all series of a tag as a job's; return how many points."""
    with psycopg.connect(url) as connection:
        # Without the checks of foreign keys, which would take most of the time.
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM forecast_points")
        connection.execute("DELETE FROM forecasts")
        connection.execute(_HEADERS, {"job": job_id, "tag": tag})
        points = connection.execute(_POINTS, {"job": job_id, "steps": steps}).rowcount
    _tidy(url)
    return points


def _tidy(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
