"""What people do about incidents: take care of one, end it, say something of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from db import incident_cases, incidents
from db.incident_cases import RESOLVED, UPDATED
from db.session import Connection
from tasks.errors import NotFound, StateConflict
from tasks.grouping import Case
from tasks.incidents import case_of, row_of, tell

_AT_ONCE = 100


def acknowledge(
    connection: Connection,
    *,
    tenant_id: int,
    incident_id: str,
    key_id: str | None,
    now: datetime,
) -> bool:
    """Note that somebody takes care of an incident; return whether that is new.

    Raises:
        NotFound: there is no such incident.
        StateConflict: it is over.
    """
    case = _held(connection, tenant_id, incident_id)
    if case.state == "resolved":
        raise StateConflict(f"{incident_id} is resolved; there is nothing to take on")
    if case.state == "acknowledged":
        return False
    case.state, case.acknowledged_at, case.acknowledged_by = "acknowledged", now, key_id
    _act(connection, tenant_id, case, ("acknowledged", UPDATED, key_id), now)
    return True


def resolve(
    connection: Connection,
    *,
    tenant_id: int,
    incident_id: str,
    key_id: str | None,
    now: datetime,
) -> bool:
    """End an incident by request; return whether that is new.

    Raises:
        NotFound: there is no such incident.
    """
    case = _held(connection, tenant_id, incident_id)
    if case.state == "resolved":
        return False
    case.end("by request")
    case.closed_at = now
    _act(connection, tenant_id, case, ("resolved", RESOLVED, key_id), now)
    return True


def end_quiet(
    connection: Connection, *, tenant_id: int, quiet: timedelta, now: datetime
) -> int:
    """End the incidents of a tenant that had no news for so long.

    An incident is over when its series were seen without an anomaly. One whose series
    nobody looks at any more, or of which nothing more comes, would stay open for good.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose they are.
        quiet: how long nothing joined, and nobody did anything.
        now: of the platform; series' times have nothing to say here.

    Returns:
        How many were ended; some may be left for the next time.
    """
    incident_cases.hold(connection, tenant_id=tenant_id)
    found = incidents.quiet(
        connection, tenant_id=tenant_id, before=now - quiet, limit=_AT_ONCE
    )
    for one in found:
        case = case_of(one)
        case.end("quiet")
        case.closed_at = now
        body = {"reason": "quiet", "last_news_at": one.updated_at.isoformat()}
        _act(connection, tenant_id, case, ("resolved", RESOLVED, None), now, body)
    return len(found)


def comment(
    connection: Connection,
    *,
    tenant_id: int,
    incident_id: str,
    said: tuple[str | None, str],
    now: datetime,
) -> int:
    """Add what somebody says to the history and return its number.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose it is.
        incident_id: which one.
        said: the id of the key, and the text.
        now: when.

    Raises:
        NotFound: there is no such incident.
    """
    key_id, text = said
    found = incidents.find(connection, tenant_id=tenant_id, incident_id=incident_id)
    if found is None:
        raise NotFound(f"no incident {incident_id}")
    note = {
        "incident_id": incident_id,
        "kind": "comment",
        "key_id": key_id,
        "body": {"text": text},
    }
    (number,) = incident_cases.note(
        connection, tenant_id=tenant_id, items=[note], now=now
    )
    return number


def _held(connection: Connection, tenant_id: int, incident_id: str) -> Case:
    incident_cases.hold(connection, tenant_id=tenant_id)
    found = incidents.find(
        connection, tenant_id=tenant_id, incident_id=incident_id, hold=True
    )
    if found is None:
        raise NotFound(f"no incident {incident_id}")
    return case_of(found)


def _act(
    connection: Connection,
    tenant_id: int,
    case: Case,
    what: tuple[str, str, str | None],
    now: datetime,
    body: Mapping[str, str] | None = None,
) -> None:
    word, kind, key_id = what
    case.version += 1
    case.updated_at = now
    incident_cases.write(
        connection, tenant_id=tenant_id, items=[row_of(case)], spans=[]
    )
    note = {
        "incident_id": case.id,
        "kind": word,
        "key_id": key_id,
        "body": dict(body or {}),
    }
    incident_cases.note(connection, tenant_id=tenant_id, items=[note], now=now)
    tell(connection, tenant_id=tenant_id, told=[(case.id, kind)], now=now)
