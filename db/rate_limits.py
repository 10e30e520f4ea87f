"""How fast a source may be asked: one bucket for all workers, a row for each scope.

A bucket is a generic cell rate: the row holds the instant at which it will be full
again, so nothing has to be refilled. The row is locked until the commit, so callers
open a transaction for ``take`` alone and wait outside of it; see
docs/adr/0021-credentials.md for why it is not a library's.
"""

import hashlib
from datetime import datetime

from sqlalchemy import text

from db.session import Connection

# What is held is the latest version of the row, also for the update: both wait for the
# same lock, and whoever had it before has committed by then.
_TAKE = text("""
WITH held AS MATERIALIZED (
    SELECT greatest(ready_at, CAST(:now AS timestamptz)) AS ready_at,
        greatest(day, CAST(:day AS date)) AS day,
        CASE WHEN day >= CAST(:day AS date) THEN used ELSE 0 END AS used,
        cooldown_until
    FROM rate_limits WHERE scope = :scope FOR UPDATE
), judged AS MATERIALIZED (
    SELECT *, extract(epoch FROM greatest(
        CAST(:now AS timestamptz),
        ready_at - make_interval(secs => :room_s),
        cooldown_until,
        CASE WHEN used + :cost > :per_day
            THEN (day + 1)::timestamp AT TIME ZONE 'UTC' END
    ) - CAST(:now AS timestamptz))::float8 AS wait_s
    FROM held
), taken AS (
    UPDATE rate_limits SET day = judged.day, used = judged.used + :cost,
        ready_at = judged.ready_at + make_interval(secs => :cost / :per_second)
    FROM judged WHERE rate_limits.scope = :scope AND judged.wait_s = 0
)
SELECT wait_s FROM judged
""")
_FIRST = text("""
INSERT INTO rate_limits (scope, ready_at, day, used)
VALUES (:scope, 'epoch', 'epoch', 0) ON CONFLICT (scope) DO NOTHING
""")
_COOL_DOWN = text("""
INSERT INTO rate_limits (scope, ready_at, day, used, cooldown_until)
VALUES (:scope, 'epoch', 'epoch', 0, :until)
ON CONFLICT (scope) DO UPDATE
SET cooldown_until = greatest(rate_limits.cooldown_until, excluded.cooldown_until)
""")


def scope_of(host: str, *, credential_id: str | None) -> str:
    """Return the scope of a source's limit: its host, and as whom it is asked.

    Whoever asks without a credential shares one limit: a source counts by address.
    """
    asked = f"{host.lower()}\n{credential_id or 'anonymous'}"
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


def take(
    connection: Connection,
    *,
    scope: str,
    cost: float,
    rate: tuple[float, float, float | None],
    now: datetime,
) -> float:
    """Take from a bucket; return 0 if it was granted, else the seconds to come back in.

    Over any stretch of t seconds no more than ``burst + t * per_second`` is granted,
    and no more than ``per_day`` in a day of UTC. What costs more than the burst is
    granted when the bucket is full, and paid for afterwards. What is not granted
    takes nothing.

    Args:
        connection: a system transaction of its own, committed at once.
        scope: of ``scope_of``.
        cost: of the request, above 0.
        rate: ``(per_second, burst, per_day)``; without a day's budget the last is None.
        now: aware; best the same clock for all workers.

    Raises:
        ValueError: a day's budget is smaller than the cost, so it never fits.
    """
    per_second, burst, per_day = rate
    if per_day is not None and cost > per_day:
        message = f"a request that costs {cost} never fits into {per_day} a day"
        raise ValueError(message)
    given = {
        "scope": scope,
        "cost": cost,
        "per_second": per_second,
        "room_s": max(0.0, burst - cost) / per_second,
        "per_day": per_day,
        "now": now,
        "day": now.date(),
    }
    wait_s: float | None = connection.scalar(_TAKE, given)
    if wait_s is None:
        connection.execute(_FIRST, {"scope": scope})
        wait_s = connection.scalar(_TAKE, given)
    return wait_s or 0.0


def cool_down(connection: Connection, *, scope: str, until: datetime) -> None:
    """Grant nothing of a scope before an instant; an earlier one changes nothing."""
    connection.execute(_COOL_DOWN, {"scope": scope, "until": until})
