"""Recommendations: their templates, what was given, applied, and what came of it."""

import re
from collections.abc import Iterable
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import recommendations
from db.recommendations import Recommendation, Tally, Template, Wanted
from db.schedules import clock
from db.session import Connection
from tasks import advice
from tasks.errors import FieldError, InvalidParams, NotFound, StateConflict
from web.acts import note, page_of
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.schemas.recommendations import (
    TEMPLATE_NAME,
    NoteOutcome,
    PutTemplate,
    RecommendationList,
    RecommendationOut,
    RecommendationQuery,
    TemplateList,
    TemplateOut,
)

bp = APIBlueprint("recommendations", __name__, url_prefix="/v1", tag="Recommendations")


@bp.get("/recommendation-templates")
@bp.doc(responses=answers(200, "All, by kind and then the best first", TemplateList))
def list_templates() -> Response:
    """List the templates: the tenant's own, and the defaults it has not changed."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = advice.shelf(connection, tenant_id=tenant_id).values()
        items = _templates_json(connection, found)
    items.sort(key=lambda one: (one["kind"], -one["score"], one["name"]))
    return json_response({"items": items, "next_cursor": None})


@bp.get("/recommendation-templates/<name>")
@bp.doc(responses=answers(200, "The template", TemplateOut))
def get_template(name: str) -> Response:
    """Show the newest version of a template."""
    with door().database.tenant(identity().tenant_id) as connection:
        return json_response(_template(connection, name))


@bp.get("/recommendation-templates/<name>/versions")
@bp.doc(responses=answers(200, "All versions, the newest first", TemplateList))
def list_template_versions(name: str) -> Response:
    """List all versions of a template; 0 is the one that comes with Forebay."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        _template(connection, name)
        found = recommendations.versions(connection, tenant_id=tenant_id, name=name)
        default = [advice.DEFAULTS[name]] if name in advice.DEFAULTS else []
        items = _templates_json(connection, [*found, *default])
    return json_response({"items": items, "next_cursor": None})


@bp.put("/recommendation-templates/<name>")
@bp.input(PutTemplate, arg_name="body")
@bp.doc(responses=answers(200, "The template", TemplateOut))
def put_template(name: str, body: PutTemplate) -> Response:
    """Write a version of a template; recommendations that were given stay."""
    _check(name, body)
    who = identity()
    new = Template(name, 0, body.kind, body.tag, body.text, body.enabled, who.key_id)
    with door().database.tenant(who.tenant_id) as connection:
        version = recommendations.put_template(
            connection, tenant_id=who.tenant_id, new=new, now=clock(connection)
        )
        note(connection, "template.put", name, {"version": version})
        return json_response(_template(connection, name))


@bp.get("/recommendations")
@bp.input(RecommendationQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", RecommendationList))
def list_recommendations(query: RecommendationQuery) -> Response:
    """List recommendations, of an incident or a template, applied or not."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = recommendations.page(
            connection,
            tenant_id=tenant_id,
            wanted=Wanted(query.incident, query.template, query.applied),
            before=query.cursor,
            limit=query.limit + 1,
        )
        items = _recommendations_json(connection, found)
    return page_of(items, limit=query.limit)


@bp.get("/recommendations/<recommendation_id>")
@bp.doc(responses=answers(200, "The recommendation", RecommendationOut))
def get_recommendation(recommendation_id: str) -> Response:
    """Show a recommendation with the evidence that it was made of."""
    with door().database.tenant(identity().tenant_id) as connection:
        return json_response(_shown(connection, recommendation_id))


@bp.post("/recommendations/<recommendation_id>/apply")
@bp.doc(responses=answers(200, "The recommendation", RecommendationOut))
def apply_recommendation(recommendation_id: str) -> Response:
    """Say that a recommendation is followed; a second time is a conflict."""
    who = identity()
    with door().database.tenant(who.tenant_id) as connection:
        _find(connection, recommendation_id)
        applied = recommendations.apply(
            connection,
            tenant_id=who.tenant_id,
            recommendation_id=recommendation_id,
            key_id=who.key_id,
            now=clock(connection),
        )
        if not applied:
            raise StateConflict(f"{recommendation_id} was applied before")
        note(connection, "recommendation.apply", recommendation_id)
        return json_response(_shown(connection, recommendation_id))


@bp.post("/recommendations/<recommendation_id>/outcome")
@bp.input(NoteOutcome, arg_name="body")
@bp.doc(responses=answers(200, "The recommendation", RecommendationOut))
def note_outcome(recommendation_id: str, body: NoteOutcome) -> Response:
    """Say what came of a recommendation that was applied; the last word counts."""
    who = identity()
    with door().database.tenant(who.tenant_id) as connection:
        _find(connection, recommendation_id)
        noted = recommendations.note_outcome(
            connection,
            tenant_id=who.tenant_id,
            recommendation_id=recommendation_id,
            outcome=(body.outcome, body.note),
            key_id=who.key_id,
            now=clock(connection),
        )
        if not noted:
            raise StateConflict(f"{recommendation_id} has not been applied")
        told = {"outcome": body.outcome}
        note(connection, "recommendation.outcome", recommendation_id, told)
        return json_response(_shown(connection, recommendation_id))


def _check(name: str, body: PutTemplate) -> None:
    faults = []
    if not re.fullmatch(TEMPLATE_NAME, name):
        told = "a name is lower case letters, digits, dots, - and _, up to 80"
        faults.append(FieldError("", told))
    if not advice.is_sound(body.text):
        told = "braces are for placeholders, such as {series}"
        faults.append(FieldError("/text", told))
    elif strange := advice.unknown(body.text):
        told = (
            f"no anomaly has {', '.join(f'{{{one}}}' for one in strange)}; "
            f"known are {', '.join(f'{{{one}}}' for one in advice.KNOWN)}"
        )
        faults.append(FieldError("/text", told))
    if faults:
        raise InvalidParams(faults[0].detail, tuple(faults))


def _template(connection: Connection, name: str) -> dict[str, Any]:
    found = advice.shelf(connection, tenant_id=identity().tenant_id).get(name)
    if found is None:
        raise NotFound(f"no template {name}")
    (told,) = _templates_json(connection, [found])
    return told


def _templates_json(
    connection: Connection, found: Iterable[Template]
) -> list[dict[str, Any]]:
    tallies = recommendations.tallies(connection, tenant_id=identity().tenant_id)
    items = []
    for one in found:
        tally = tallies.get(one.name, Tally())
        base = f"/v1/recommendation-templates/{one.name}"
        items.append(
            {
                **vars(one),
                **vars(tally),
                "placeholders": sorted(advice.placeholders(one.text)),
                "score": advice.score_of(one, tally),
                "links": {"self": base, "versions": f"{base}/versions"},
            }
        )
    return items


def _find(connection: Connection, recommendation_id: str) -> Recommendation:
    found = recommendations.find(
        connection,
        tenant_id=identity().tenant_id,
        recommendation_id=recommendation_id,
    )
    if found is None:
        raise NotFound(f"no recommendation {recommendation_id}")
    return found


def _shown(connection: Connection, recommendation_id: str) -> dict[str, Any]:
    found = _find(connection, recommendation_id)
    (shown,) = _recommendations_json(connection, [found])
    return shown


def _recommendations_json(
    connection: Connection, found: Iterable[Recommendation]
) -> list[dict[str, Any]]:
    tenant_id = identity().tenant_id
    shelf = advice.shelf(connection, tenant_id=tenant_id)
    tallies = recommendations.tallies(connection, tenant_id=tenant_id)
    scores = {
        name: advice.score_of(one, tallies.get(name, Tally()))
        for name, one in shelf.items()
    }
    # A default that is no more has the score that it had.
    return [
        {
            **_recommendation_json(one),
            "template_score": scores.get(one.template, one.score),
            "series": one.evidence.get("series"),
        }
        for one in found
    ]


def _recommendation_json(found: Recommendation) -> dict[str, Any]:
    base = f"/v1/recommendations/{found.id}"
    links = {
        "self": base,
        "apply": f"{base}/apply",
        "outcome": f"{base}/outcome",
        "incident": f"/v1/incidents/{found.incident_id}",
        "template": f"/v1/recommendation-templates/{found.template}",
    }
    return {**vars(found), "links": links}
