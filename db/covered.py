"""Rows of the quarantine that a later load has read again, and refuses no more."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.quarantine import Load
from db.session import Connection
from db.superseded import HELD

# The part of a partition also holds how it was asked, which is no matter of its rows.
_ASKED = "ARRAY['within', 'seen', 'etag', 'last_modified']"
_GROUP = "regexp_replace({}, '[^:]*$', '')"
_START, _END = "CAST(:start AS timestamptz)", "CAST(:end AS timestamptz)"
_COVER = text(f"""
UPDATE quarantine SET state = 'superseded', resolved_by = :run_id
WHERE id IN (SELECT id FROM quarantine WHERE {HELD}
    AND partition_id <> :partition_id AND partition_id IN (
        SELECT partition_id FROM source_windows
        WHERE tenant_id = :tenant_id AND source_id = :source_id
            AND part - {_ASKED} = CAST(:part AS jsonb) - {_ASKED}
            AND {_GROUP.format("partition_id")}
                = {_GROUP.format("CAST(:partition_id AS text)")}
            AND (:whole OR coalesce(start_at, '-infinity') >= {_START}
                AND coalesce(end_at, 'infinity') <= {_END}))
    AND (ts IS NULL OR ts >= {_START} AND ts < {_END})
FOR UPDATE SKIP LOCKED)
""")  # noqa: S608 - only conditions of ours are put in


@dataclass(frozen=True)
class Reach:
    """What a load has read of its source.

    Attributes:
        part: which of the series, as in the partition that was read.
        start: from when on; None for all that was before.
        end: up to when, not included; None for all that comes.
        whole: whether it is all that the source has, whatever window was wanted.
    """

    part: Mapping[str, Any]
    start: datetime | None
    end: datetime | None
    whole: bool = False


def cover(
    connection: Connection,
    *,
    tenant_id: int,
    load: Load,
    reach: Reach,
    known_at: datetime,
) -> int:
    """Mark what was held of other partitions that lie within what a load has read.

    Windows that end now never come again, so no later read is of the same partition.
    To be called after ``quarantine.add``: what the load refuses again is its own then.

    Args:
        connection: of the tenant.
        tenant_id: whose source it is.
        load: the load; what it has held itself stays held.
        reach: what it has read, and refused no more.
        known_at: when the source gave it; what was held later stays held.

    Returns:
        How many rows there were.
    """
    given = {
        **vars(load),
        "tenant_id": tenant_id,
        "known_at": known_at,
        "part": orjson.dumps(dict(reach.part)).decode(),
        "start": reach.start or "-infinity",
        "end": reach.end or "infinity",
        "whole": reach.whole,
    }
    return connection.execute(_COVER, given).rowcount
