"""From anomalies to incidents: opened, kept, ended, told, all in one transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from db import incident_cases, incidents, recommendations
from db.analyses import FoundAnomaly
from db.incident_cases import OPENED, RESOLVED, UPDATED, Member, Reach
from db.incidents import Incident
from db.recommendations import Recommendation
from db.session import Connection
from tasks import advice, alerting
from tasks.alerting import Change
from tasks.cases import Cases
from tasks.grouping import SEVERITIES, Case, Grouping, Sighted, Stay, headline_of

_TOLD_OF = {"joined", "worse", "reopened", "merged"}


@dataclass(frozen=True)
class Settled:
    """The ids of the incidents that were opened, changed and resolved."""

    opened: list[str]
    updated: list[str]
    resolved: list[str]


def settle(
    connection: Connection,
    *,
    tenant_id: int,
    found: Mapping[int, Sequence[FoundAnomaly]],
    seen: Mapping[int, datetime],
    grouping: Grouping,
    now: datetime,
) -> Settled:
    """Group anomalies into incidents, and do all that follows from it.

    The same anomalies again change nothing. Other transactions that settle incidents
    of the tenant wait for this one's commit, so call it last.

    Args:
        connection: the transaction that stores the anomalies.
        tenant_id: whose they are.
        found: anomalies by the number of their series; empty for none.
        seen: up to when series were looked at, not including it; what ends incidents.
        grouping: for incidents that are opened.
        now: the instant of the attempt.

    Returns:
        What happened to which incidents.
    """
    series_ids = sorted({*found, *seen})
    if not series_ids:
        return Settled([], [], [])
    incident_cases.hold(connection, tenant_id=tenant_id)
    members = incident_cases.members(
        connection, tenant_id=tenant_id, series_ids=series_ids
    )
    sighted = [
        _sighted(members[number], one)
        for number, group in found.items()
        for one in group
    ]
    cases = _load(connection, tenant_id, sighted, (members, grouping, seen, now))
    cases.take(sighted)
    return _save(connection, tenant_id, cases.all, members, now)


def _sighted(member: Member, one: FoundAnomaly) -> Sighted:
    return Sighted(
        member.id,
        member.unique_id,
        tuple(member.tags),
        one.start_at,
        one.end_at,
        one.kind,
        one.severity if one.severity in SEVERITIES else SEVERITIES[0],
        one.score,
        one.explanation,
        one.evidence,
    )


def _load(
    connection: Connection,
    tenant_id: int,
    sighted: Sequence[Sighted],
    given: tuple[Mapping[int, Member], Grouping, Mapping[int, datetime], datetime],
) -> Cases:
    members, grouping, seen, now = given
    starts = [one.start_at for one in sighted] or [now]
    ends = [one.end_at for one in sighted] or [now]
    longest = max(grouping.cooldown_s, grouping.recover_s, 7 * 86_400.0)
    reach = Reach(
        series_ids=list(members),
        tags=sorted({tag for one in members.values() for tag in one.tags}),
        earliest=min(starts) - timedelta(seconds=longest),
        start=min(starts),
        end=max(ends) + timedelta(seconds=grouping.join_s),
    )
    rows = incident_cases.near(connection, tenant_id=tenant_id, reach=reach)
    cases = {one.id: case_of(one) for one in rows}
    spans = incident_cases.spans(connection, tenant_id=tenant_id, ids=list(cases))
    for one in spans:
        cases[one.incident_id].stays[one.series_id] = Stay(
            one.unique_id, one.start_at, one.last_seen_at, one.seen_until
        )
    known = incident_cases.kept(connection, tenant_id=tenant_id, reach=reach)
    return Cases(list(cases.values()), known, grouping=grouping, seen=seen, now=now)


def case_of(row: Incident) -> Case:
    """Return a stored incident as one at work, without its series."""
    given = {**vars(row), "grouping": Grouping.of(row.grouping)}
    return Case(**{**given, "tags": list(row.tags), "kinds": list(row.kinds)})


def _save(
    connection: Connection,
    tenant_id: int,
    cases: Sequence[Case],
    members: Mapping[int, Member],
    now: datetime,
) -> Settled:
    changed = [one for one in cases if one.touched or one.news]
    for case in changed:
        if case.news or case.joined:
            case.version += 1
            case.updated_at = now
        if case.state == "resolved" and case.closed_at is None:
            case.closed_at = now
    incident_cases.write(
        connection,
        tenant_id=tenant_id,
        items=[row_of(one) for one in changed],
        spans=[row for one in changed for row in _spans(one)],
    )
    joined = [_joined(case, *pair) for case in changed for pair in case.joined]
    incident_cases.join(connection, tenant_id=tenant_id, items=joined, now=now)
    for case in changed:
        if case.absorbed:
            incident_cases.move(
                connection, tenant_id=tenant_id, ids=case.absorbed, into=case.id
            )
    _follow(connection, tenant_id, changed, members, now)
    return Settled(
        [one.id for one in changed if "opened" in one.news],
        [one.id for one in changed if _kind(one) == UPDATED],
        [one.id for one in changed if "resolved" in one.news],
    )


def _kind(case: Case) -> str | None:
    """Return what is told of what happened, beside that it is over."""
    if "opened" in case.news:
        return OPENED
    return UPDATED if _TOLD_OF & set(case.news) else None


def _follow(
    connection: Connection,
    tenant_id: int,
    cases: Sequence[Case],
    members: Mapping[int, Member],
    now: datetime,
) -> None:
    """Note what happened, recommend, and tell."""
    notes = [
        {
            "incident_id": case.id,
            "kind": word,
            "key_id": None,
            "body": _note(case, word),
        }
        for case in cases
        for word in case.news
    ]
    incident_cases.note(connection, tenant_id=tenant_id, items=notes, now=now)
    advice.give(
        connection,
        tenant_id=tenant_id,
        wanted=[
            (case.id, one, _evidence(members, one))
            for case in cases
            for one in advice.worst_of_each_kind(
                [one for _, one in case.joined], named=case.headline
            )
        ],
        renamed={case.id: case.headline for case in cases if "worse" in case.news},
        now=now,
    )
    told = [
        (case.id, kind)
        for case in cases
        for kind in (_kind(case), RESOLVED if "resolved" in case.news else None)
        if kind is not None
    ]
    tell(connection, tenant_id=tenant_id, told=told, now=now)
    # What goes on without news may be what a rule held back until now.
    ongoing = [case.id for case in cases if case.joined and not case.news]
    shown = shown_by_id(connection, tenant_id=tenant_id, ids=ongoing)
    changes = [Change(one, UPDATED) for one in shown.values()]
    alerting.evaluate(connection, tenant_id=tenant_id, changes=changes, now=now)


def _evidence(members: Mapping[int, Member], one: Sighted) -> dict[str, Any]:
    member = members[one.series_id]
    return advice.evidence_of(one, unit=member.unit, title=member.title)


def _note(case: Case, word: str) -> dict[str, Any]:
    if word in ("opened", "joined"):
        return {"anomalies": [key for key, _ in case.joined]}
    if word == "merged":
        return {"incidents": case.absorbed}
    if word == "resolved":
        return {"reason": case.reason, "merged_into": case.merged_into}
    return {"severity": case.severity}


def row_of(case: Case) -> dict[str, Any]:
    """Return an incident at work as it is stored."""
    left_out = ("stays", "news", "joined", "absorbed", "touched")
    row = {name: value for name, value in vars(case).items() if name not in left_out}
    return {**row, "grouping": vars(case.grouping)}


def _spans(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "incident_id": case.id,
            "series_id": series_id,
            "start_at": stay.start_at,
            "last_seen_at": stay.last_seen_at,
            "seen_until": stay.seen_until,
        }
        for series_id, stay in case.stays.items()
    ]


def _joined(case: Case, key: str, one: Sighted) -> dict[str, Any]:
    names = (
        *("series_id", "kind", "severity", "score", "start_at", "end_at"),
        *("explanation", "evidence"),
    )
    row = {name: getattr(one, name) for name in names}
    return {**row, "incident_id": case.id, "dedup_key": key}


def tell(
    connection: Connection,
    *,
    tenant_id: int,
    told: Sequence[tuple[str, str]],
    now: datetime,
) -> None:
    """Write the events of incidents, and let the alert rules look at them.

    Args:
        connection: the transaction that changed them; they are held.
        tenant_id: whose they are.
        told: ids with ``OPENED``, ``UPDATED`` or ``RESOLVED``.
        now: when.
    """
    shown = shown_by_id(connection, tenant_id=tenant_id, ids=[one for one, _ in told])
    items = [{"kind": kind, "incident": shown[one]} for one, kind in told]
    incident_cases.tell(connection, tenant_id=tenant_id, items=items)
    changes = [Change(shown[one], kind) for one, kind in told]
    alerting.evaluate(connection, tenant_id=tenant_id, changes=changes, now=now)


def shown_by_id(
    connection: Connection, *, tenant_id: int, ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return incidents as the API, the events and the webhooks show them."""
    rows = incidents.by_ids(connection, tenant_id=tenant_id, ids=ids)
    return shown(connection, tenant_id=tenant_id, rows=rows)


def shown(
    connection: Connection, *, tenant_id: int, rows: Sequence[Incident]
) -> dict[str, dict[str, Any]]:
    """Return incidents with their series and what is recommended, by id."""
    ids = [one.id for one in rows]
    stays = defaultdict(list)
    for stay in incident_cases.spans(connection, tenant_id=tenant_id, ids=ids):
        stays[stay.incident_id].append(stay)
    given = recommendations.of_incidents(connection, tenant_id=tenant_id, ids=ids)
    return {
        one.id: {
            **incident_json(one),
            "series": [
                {
                    "unique_id": stay.unique_id,
                    "start_at": stay.start_at,
                    "last_seen_at": stay.last_seen_at,
                    "seen_until": stay.seen_until,
                }
                for stay in stays[one.id]
            ],
            "recommendations": _advice_json(one, given[one.id]),
        }
        for one in rows
    }


def _advice_json(
    found: Incident, given: Sequence[Recommendation]
) -> list[dict[str, Any]]:
    """Return what is recommended, first of all of what the headline names."""
    told = [
        {
            "id": one.id,
            "kind": one.kind,
            "series": one.evidence.get("series"),
            "text": one.text,
        }
        for one in given
    ]
    return sorted(
        told,
        key=lambda one: headline_of(one["kind"], one["series"]) != found.headline,
    )


def incident_json(found: Incident) -> dict[str, Any]:
    """Return an incident without its series."""
    base = f"/v1/incidents/{found.id}"
    names = ("anomalies", "events", "acknowledge", "resolve", "comments")
    return {**vars(found), "links": {"self": base, **{n: f"{base}/{n}" for n in names}}}
