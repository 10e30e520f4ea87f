"""Every version of one observation: what was said of it, and when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Unpack

from sqlalchemy import text

from db.observations import THEN, Stretch, asking
from db.session import Connection

_HISTORY = """
SELECT value, known_from, ingested_at, issued_at, status, basis, run_id
FROM obs_version
WHERE tenant_id = nullif(current_setting('forebay.tenant', true), '')::integer
    AND series_id = :series_id AND ts = :ts AND {then}
ORDER BY known_from
"""


@dataclass(frozen=True)
class Version:
    """One version of an observation.

    Attributes:
        value: None where this version withdrew it.
        known_from: since when it counts: when it was published, or when it was
            fetched if nobody said.
        received_at: when it was stored here.
        issued_at: when it was issued, if it is a forecast from outside.
        status: "withdrawn", or None.
        basis: whether ``known_from`` was published, observed here or assumed.
        run_id: the load that brought it.
    """

    value: float | None
    known_from: datetime
    received_at: datetime
    issued_at: datetime | None
    status: str | None
    basis: str
    run_id: str


def history(
    connection: Connection, *, series_id: int, ts: datetime, **stretch: Unpack[Stretch]
) -> list[Version]:
    """Return the versions of one time of a series, the first known first.

    With ``as_of`` only those that were known then.
    """
    then = "true"
    if stretch.get("as_of") is not None:
        then = THEN[stretch.get("known_by", "published")]
        then = then.replace("%(as_of)s", ":as_of")
    asked = asking(stretch, series_id=series_id, ts=ts)
    query = text(_HISTORY.format(then=then))
    return [Version(*row) for row in connection.execute(query, asked)]
