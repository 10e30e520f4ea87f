"""Feedback: what people say a stretch of a series was; it can be taken back."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import feedback, series
from db.feedback import Label, NewLabel, Wanted
from db.schedules import clock
from db.session import Connection
from tasks.errors import FieldError, InvalidParams, NotFound
from web.acts import created, note, once, page_of
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.schemas.recommendations import (
    FeedbackList,
    FeedbackOut,
    FeedbackQuery,
    GiveFeedback,
)

bp = APIBlueprint("feedback", __name__, url_prefix="/v1/feedback", tag="Feedback")


@bp.post("")
@bp.input(GiveFeedback, arg_name="body")
@bp.doc(responses=answers(201, "The label", FeedbackOut))
def give_feedback(body: GiveFeedback) -> Response:
    """Label a stretch of a series; later analyses of it heed the label."""
    if body.start >= body.end:
        detail = "from must lie before to"
        raise InvalidParams(detail, (FieldError("/from", detail),))
    with door().database.tenant(identity().tenant_id) as connection:
        made, replayed = once(connection, lambda: _add(connection, body))
        found = _find(connection, made)
    return created(_label_json(found), replayed=replayed)


@bp.get("")
@bp.input(FeedbackQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", FeedbackList))
def list_feedback(query: FeedbackQuery) -> Response:
    """List labels that count; ``revoked=true`` shows the others too."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = feedback.page(
            connection,
            tenant_id=tenant_id,
            wanted=Wanted(query.series, query.label, query.revoked),
            before=query.cursor,
            limit=query.limit + 1,
        )
    return page_of([_label_json(one) for one in found], limit=query.limit)


@bp.get("/<feedback_id>")
@bp.doc(responses=answers(200, "The label", FeedbackOut))
def get_feedback(feedback_id: str) -> Response:
    """Show a label."""
    with door().database.tenant(identity().tenant_id) as connection:
        return json_response(_label_json(_find(connection, feedback_id)))


@bp.delete("/<feedback_id>")
@bp.doc(responses=answers(200, "The label, revoked", FeedbackOut))
def revoke_feedback(feedback_id: str) -> Response:
    """Take a label back; it stays on record and counts no more."""
    who = identity()
    with door().database.tenant(who.tenant_id) as connection:
        _find(connection, feedback_id)
        revoked = feedback.revoke(
            connection,
            tenant_id=who.tenant_id,
            label_id=feedback_id,
            key_id=who.key_id,
            now=clock(connection),
        )
        if revoked:
            note(connection, "feedback.revoke", feedback_id)
        found = _find(connection, feedback_id)
    return json_response(_label_json(found))


def _add(connection: Connection, body: GiveFeedback) -> str:
    who = identity()
    known = series.find(connection, tenant_id=who.tenant_id, key=body.series)
    if known is None:
        detail = f"there is no series {body.series}"
        raise InvalidParams(detail, (FieldError("/series", detail),))
    made = feedback.add(
        connection,
        tenant_id=who.tenant_id,
        new=NewLabel(
            known.id,
            body.start,
            body.end,
            body.label,
            body.kind,
            body.note,
            who.key_id,
        ),
        now=clock(connection),
    )
    told = {"series": body.series, "label": body.label}
    note(connection, "feedback.give", made.id, told)
    return made.id


def _find(connection: Connection, feedback_id: str) -> Label:
    found = feedback.find(
        connection, tenant_id=identity().tenant_id, label_id=feedback_id
    )
    if found is None:
        raise NotFound(f"no feedback {feedback_id}")
    return found


def _label_json(found: Label) -> dict[str, Any]:
    told = {name: value for name, value in vars(found).items() if name != "series_id"}
    links = {
        "self": f"/v1/feedback/{found.id}",
        "series": f"/v1/series/{found.unique_id}",
    }
    return {**told, "links": links}
