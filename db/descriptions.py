"""What is filled in of series that a source brought."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from db.session import Connection

# What the owner of a series has said stays; a source fills in what nobody said.
_DESCRIBE = text("""
UPDATE series SET unit = coalesce(series.unit, given.unit),
    frequency = coalesce(series.frequency, given.frequency),
    title = CASE WHEN series.title = series.key AND given.title <> ''
        THEN given.title ELSE series.title END,
    timezone = CASE WHEN series.timezone = 'UTC' THEN given.timezone
        ELSE series.timezone END,
    tags = CASE WHEN series.tags = '{}' THEN CAST(:tags AS text[])
        ELSE series.tags END,
    kind = coalesce(given.kind, series.kind), updated_at = :now
FROM unnest(CAST(:ids AS integer[]), CAST(:units AS text[]),
    CAST(:frequencies AS text[]), CAST(:titles AS text[]),
    CAST(:timezones AS text[]), CAST(:kinds AS text[]))
    AS given (id, unit, frequency, title, timezone, kind)
WHERE series.tenant_id = :tenant_id AND series.id = given.id
    AND (series.kind <> given.kind
        OR (series.unit IS NULL AND given.unit IS NOT NULL)
        OR (series.frequency IS NULL AND given.frequency IS NOT NULL)
        OR (series.title = series.key AND given.title NOT IN ('', series.key))
        OR (series.timezone = 'UTC' AND given.timezone <> 'UTC')
        OR (series.tags = '{}' AND CAST(:tags AS text[]) <> '{}'))
""")


def describe(
    connection: Connection,
    *,
    tenant_id: int,
    told: Mapping[int, Mapping[str, Any]],
    tags: Sequence[str] = (),
    now: datetime,
) -> None:
    """Fill in what a source tells of series and their owner has not said.

    Args:
        connection: the transaction that stored the observations.
        tenant_id: whose series they are.
        told: unit, frequency, title, timezone, kind (or None) by the series' id.
        tags: of all of them that have none.
        now: when.
    """
    names = {
        "units": "unit",
        "frequencies": "frequency",
        "titles": "title",
        "timezones": "timezone",
        "kinds": "kind",
    }
    given = {
        column: [one[name] for one in told.values()] for column, name in names.items()
    }
    if told:
        connection.execute(
            _DESCRIBE,
            {
                "tenant_id": tenant_id,
                "ids": [*told],
                "now": now,
                "tags": [*tags],
                **given,
            },
        )
