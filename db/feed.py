"""All events of a tenant in one stream that loses none.

Event numbers are given before a transaction commits, so the highest number seen says
nothing of what is still to appear below it. A place in the stream is therefore a
snapshot: what it did not see yet comes next, whatever its number.
"""

import re
from dataclasses import dataclass

from sqlalchemy import text

from db.events import Event
from db.session import Connection

_BATCH = 500
_NUMBER = "[0-9]{1,18}"
_SNAPSHOT = f"{_NUMBER}:{_NUMBER}:(?:{_NUMBER}(?:,{_NUMBER})*)?"
_PLACE = re.compile(f"({_SNAPSHOT})(?:/({_SNAPSHOT})/({_NUMBER}))?")


@dataclass(frozen=True)
class Mark:
    """A place in a tenant's stream.

    Everything that ``before`` saw was told; of what came between it and ``upto``, the
    events up to number ``told``. Without ``upto`` nothing more was told.
    """

    before: str
    upto: str | None = None
    told: int = 0

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        if self.upto is None:
            return self.before
        return f"{self.before}/{self.upto}/{self.told}"


_NOW = text("""
SELECT pg_current_snapshot()::text AS snapshot,
    pg_current_wal_insert_lsn()::text AS written
""")
_ON_DISK = text("SELECT pg_current_wal_flush_lsn() >= CAST(:written AS pg_lsn)")
_REST = text("SELECT pg_sleep(0.01)")
_LOOKS = 100
_BETWEEN = text("""
SELECT id, job_id, at, kind, body FROM job_events
WHERE tenant_id = :tenant_id AND id > :told
    AND xid >= pg_snapshot_xmin(CAST(:before AS pg_snapshot))::text::bigint
    AND NOT pg_visible_in_snapshot(xid::text::xid8, CAST(:before AS pg_snapshot))
    AND pg_visible_in_snapshot(xid::text::xid8, CAST(:upto AS pg_snapshot))
ORDER BY id LIMIT :limit
""")


def parse(told: str) -> Mark | None:
    """Read a mark that a client gives back; None where it is none of ours."""
    found = _PLACE.fullmatch(told)
    if found is None:
        return None
    before, upto, number = found.groups()
    if not all(_is_snapshot(one) for one in (before, upto) if one is not None):
        return None
    return Mark(before, upto, int(number or 0))


def _is_snapshot(told: str) -> bool:
    """PostgreSQL refuses one whose transactions do not lie in order in its span."""
    first, end, unended = told.split(":")
    open_ones = [int(one) for one in unended.split(",") if one]
    in_order = [int(first), *open_ones, int(end)]
    return (
        in_order[0] > 0 and in_order == sorted(in_order) and int(end) not in open_ones
    )


def now(connection: Connection) -> Mark:
    """Return the place after everything that has happened."""
    return Mark(_snapshot(connection))


def _snapshot(connection: Connection) -> str:
    """Return a snapshot that a crash of the server cannot make untrue.

    A commit that is seen but not on disk yet may be forgotten in a crash; its number
    would then be given to another transaction, whose events a mark must not hide. The
    server writes at least every 0.6 s. At the end of a page of its log nothing more
    comes to disk until something is written, so the wait has an end.
    """
    seen = connection.execute(_NOW).one()
    for _ in range(_LOOKS):
        if connection.scalar(_ON_DISK, {"written": seen.written}):
            break
        connection.execute(_REST)
    return str(seen.snapshot)


def after(
    connection: Connection, *, tenant_id: int, mark: Mark
) -> tuple[list[tuple[Event, Mark]], Mark]:
    """Return events that come after a mark with their own marks, and where to go on.

    A job's events come in their order. A place without ``upto`` means that all was
    told.
    """
    upto = mark.upto or _snapshot(connection)
    rows = connection.execute(
        _BETWEEN,
        {
            "tenant_id": tenant_id,
            "told": mark.told,
            "before": mark.before,
            "upto": upto,
            "limit": _BATCH,
        },
    )
    found = [Event(**row._mapping) for row in rows]
    marked = [(event, Mark(mark.before, upto, event.id)) for event in found]
    if len(found) == _BATCH:
        return marked, marked[-1][1]
    if mark.upto is None:
        return marked, Mark(upto)
    # The end of a stretch that was begun long ago: what came since is due as well.
    more, place = after(connection, tenant_id=tenant_id, mark=Mark(upto))
    return marked + more, place
