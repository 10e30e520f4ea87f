"""Which series differ from the one that is preferred, as it was last told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import text

from db.session import Connection

OPENED, CLOSED = "difference.opened", "difference.closed"
JOB = "ingest.reconcile"

Pair: TypeAlias = tuple[str, str, str]
"""The group's name, the key of the preferred series, the key of the other."""

_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('reconcile'), :tenant_id)")
_SOURCES = text("""
SELECT series_id, min(sources.name) AS source
FROM source_series JOIN sources ON sources.id = source_id
WHERE source_series.tenant_id = :tenant_id AND series_id = ANY(:ids)
GROUP BY series_id HAVING count(DISTINCT sources.name) = 1
""")
# The events are the state: what a pair was last told to be, it still is. Their kinds
# stand in the query, so that the index of these few events is used.
_TOLD = text("""
SELECT DISTINCT ON (pair.name, preferred, other) pair.name, preferred, other, told.kind
FROM job_events AS told JOIN jobs ON told.job_id = jobs.id
CROSS JOIN LATERAL json_to_record(told.body -> 'finding')
    AS finding ("group" text, preferred text, other text)
JOIN unnest(CAST(:names AS text[]), CAST(:preferred AS text[]),
    CAST(:others AS text[])) AS pair (name, one, two)
    ON (pair.name, pair.one, pair.two) = ("group", preferred, other)
WHERE told.tenant_id = :tenant_id AND jobs.type = :job
    AND jobs.finished_at IS NOT NULL
    AND told.kind IN ('difference.opened', 'difference.closed')
ORDER BY pair.name, preferred, other, told.id DESC
""")
_PAGE = text("""
SELECT id, at, job_id, state, finding FROM (
    SELECT DISTINCT ON (told.body #>> '{finding,group}',
            told.body #>> '{finding,preferred}', told.body #>> '{finding,other}')
        told.id, told.at, told.job_id, told.body -> 'finding' AS finding,
        told.body #>> '{finding,group}' AS name,
        CASE told.kind WHEN 'difference.opened' THEN 'open' ELSE 'closed' END AS state
    FROM job_events AS told JOIN jobs ON told.job_id = jobs.id
    WHERE told.tenant_id = :tenant_id AND jobs.type = :job
        AND jobs.finished_at IS NOT NULL
        AND told.kind IN ('difference.opened', 'difference.closed')
    ORDER BY told.body #>> '{finding,group}', told.body #>> '{finding,preferred}',
        told.body #>> '{finding,other}', told.id DESC
) AS last
WHERE (CAST(:state AS text) IS NULL OR state = :state)
    AND (CAST(:group AS text) IS NULL OR name = :group)
    AND (CAST(:before AS bigint) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")


@dataclass(frozen=True)
class Difference:
    """What was last told of a pair.

    Attributes:
        id: of the event.
        at: when it was told.
        job_id: of the job that found it.
        state: ``open`` or ``closed``.
        finding: the pair, and the numbers of that time.
    """

    id: int
    at: datetime
    job_id: str
    state: str
    finding: dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """Which pairs a list shows; None means any."""

    state: str | None = None
    group: str | None = None


def hold(connection: Connection, *, tenant_id: int) -> None:
    """Let nobody else decide which of the tenant's series differ until the commit."""
    connection.execute(_ALONE, {"tenant_id": tenant_id})


def sources_of(
    connection: Connection, *, tenant_id: int, series_ids: Sequence[int]
) -> dict[int, str]:
    """Return the source of each series that comes from one, and from one only."""
    rows = connection.execute(
        _SOURCES, {"tenant_id": tenant_id, "ids": list(series_ids)}
    )
    return {row.series_id: row.source for row in rows}


def open_pairs(
    connection: Connection, *, tenant_id: int, pairs: Sequence[Pair]
) -> set[Pair]:
    """Return those of the pairs that were last told to differ."""
    if not pairs:
        return set()
    names, preferred, others = zip(*pairs, strict=True)
    rows = connection.execute(
        _TOLD,
        {
            "tenant_id": tenant_id,
            "job": JOB,
            "names": list(names),
            "preferred": list(preferred),
            "others": list(others),
        },
    )
    return {(row.name, row.preferred, row.other) for row in rows if row.kind == OPENED}


def page(
    connection: Connection,
    *,
    tenant_id: int,
    wanted: Wanted,
    before: int | None = None,
    limit: int = 200,
) -> list[Difference]:
    """Return what was last told of pairs, the newest first, older than ``before``."""
    given = {
        **vars(wanted),
        "tenant_id": tenant_id,
        "job": JOB,
        "before": before,
        "limit": limit,
    }
    return [Difference(**row._mapping) for row in connection.execute(_PAGE, given)]
