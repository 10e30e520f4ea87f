"""Incidents: what is going on, who takes care of it, and what was said of it."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import incidents
from db.incidents import Wanted
from db.schedules import clock
from db.session import Connection
from tasks import incident_acts
from tasks.errors import NotFound
from tasks.grouping import SEVERITIES
from tasks.incidents import shown, shown_by_id
from web.acts import marked, note, once, page_of
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.requests import whole_number
from web.schemas.incidents import (
    Comment,
    EntryList,
    EntryOut,
    IncidentList,
    IncidentOut,
    IncidentQuery,
    JoinedList,
)
from web.schemas.jobs import Page

bp = APIBlueprint("incidents", __name__, url_prefix="/v1/incidents", tag="Incidents")


@bp.get("")
@bp.input(IncidentQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", IncidentList))
def list_incidents(query: IncidentQuery) -> Response:
    """List incidents: open ones, of a severity, a kind, a tag, a series, a time."""
    tenant_id = identity().tenant_id
    least = query.min_severity
    wanted = Wanted(
        state=query.state,
        open=query.open,
        severities=list(SEVERITIES[SEVERITIES.index(least) :]) if least else None,
        kind=query.kind,
        tag=query.tag,
        series=query.series,
        since=query.start,
        until=query.end,
    )
    with door().database.tenant(tenant_id) as connection:
        found = incidents.page(
            connection,
            tenant_id=tenant_id,
            wanted=wanted,
            before=query.cursor,
            limit=query.limit + 1,
        )
        items = shown(connection, tenant_id=tenant_id, rows=found)
    return page_of([items[one.id] for one in found], limit=query.limit)


@bp.get("/<incident_id>")
@bp.doc(responses=answers(200, "The incident", IncidentOut))
def get_incident(incident_id: str) -> Response:
    """Show an incident with its series and what is recommended."""
    with door().database.tenant(identity().tenant_id) as connection:
        return json_response(_shown(connection, incident_id))


@bp.get("/<incident_id>/anomalies")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, the last that joined first", JoinedList))
def list_incident_anomalies(incident_id: str, query: Page) -> Response:
    """List the anomalies of an incident with their evidence."""
    return _of_incident(incidents.anomalies, incident_id, query)


@bp.get("/<incident_id>/events")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, the latest first", EntryList))
def list_incident_events(incident_id: str, query: Page) -> Response:
    """List what happened to an incident and what was said of it."""
    return _of_incident(incidents.history, incident_id, query)


@bp.post("/<incident_id>/acknowledge")
@bp.doc(responses=answers(200, "The incident", IncidentOut))
def acknowledge_incident(incident_id: str) -> Response:
    """Say that somebody takes care of it; once is enough."""
    return _act(incident_id, "incident.acknowledge", incident_acts.acknowledge)


@bp.post("/<incident_id>/resolve")
@bp.doc(responses=answers(200, "The incident", IncidentOut))
def resolve_incident(incident_id: str) -> Response:
    """End an incident; an anomaly within its cooldown opens it again."""
    return _act(incident_id, "incident.resolve", incident_acts.resolve)


@bp.post("/<incident_id>/comments")
@bp.input(Comment, arg_name="body")
@bp.doc(responses=answers(201, "The comment", EntryOut))
def comment_incident(incident_id: str, body: Comment) -> Response:
    """Say something of an incident; it is kept in its history."""
    who = identity()
    with door().database.tenant(who.tenant_id) as connection:
        number, replayed = once(
            connection,
            lambda: str(
                incident_acts.comment(
                    connection,
                    tenant_id=who.tenant_id,
                    incident_id=incident_id,
                    said=(who.key_id, body.text),
                    now=clock(connection),
                )
            ),
        )
        (made,) = incidents.history(
            connection,
            tenant_id=who.tenant_id,
            incident_id=incident_id,
            before=int(number) + 1,
            limit=1,
        )
    answer = json_response(vars(made), 201)
    answer.headers["Location"] = f"/v1/incidents/{incident_id}/events"
    return marked(answer, replayed=replayed)


def _shown(connection: Connection, incident_id: str) -> dict[str, Any]:
    found = shown_by_id(
        connection, tenant_id=identity().tenant_id, ids=[incident_id]
    ).get(incident_id)
    if found is None:
        raise NotFound(f"no incident {incident_id}")
    return found


def _of_incident(read: Any, incident_id: str, query: Page) -> Response:
    before = whole_number(query.cursor, name="cursor") if query.cursor else None
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        _shown(connection, incident_id)
        found = read(
            connection,
            tenant_id=tenant_id,
            incident_id=incident_id,
            before=before,
            limit=query.limit + 1,
        )
    return page_of([vars(one) for one in found], limit=query.limit)


def _act(incident_id: str, action: str, act: Any) -> Response:
    who = identity()
    with door().database.tenant(who.tenant_id) as connection:
        new = act(
            connection,
            tenant_id=who.tenant_id,
            incident_id=incident_id,
            key_id=who.key_id,
            now=clock(connection),
        )
        if new:
            note(connection, action, incident_id)
        found = _shown(connection, incident_id)
    return json_response(found)
