"""Trained versions: what there is, who is champion, and the jobs that change it."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from db import registry
from db.registry import Entry, Move, Version
from db.session import Connection
from tasks import storage, submit
from tasks.artifacts import ArtifactAbsent, ArtifactDamaged
from tasks.errors import NotFound, StateConflict
from tasks.promote import Promotion, Rollback
from tasks.submission import Submission
from web.acts import Once, marked, note
from web.door import door, identity
from web.errors import Forbidden
from web.openapi import answers
from web.representation import json_response
from web.requests import (
    json_body,
    next_link,
    trace_context,
    whole_number,
)
from web.routes.jobs import job_response
from web.schemas.jobs import JobOut, Page
from web.schemas.models import ModelList, ModelOut, MoveList, VersionList, VersionOut

bp = APIBlueprint("models", __name__, url_prefix="/v1/models", tag="Models")

_BYTES = "application/octet-stream"
_LARGEST_NUMBER = 2**31 - 1
_LONG = 11


@bp.get("")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, by name", ModelList))
def list_models(query: Page) -> Response:
    """List the names under which trained versions are kept."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = registry.page(
            connection, tenant_id=tenant_id, after=query.cursor, limit=query.limit + 1
        )
    items = [_model_json(one) for one in found[: query.limit]]
    return _page(items, items[-1]["name"] if len(found) > query.limit else None)


@bp.get("/<name>")
@bp.doc(responses=answers(200, "The model", ModelOut))
def get_model(name: str) -> Response:
    """Show a model: its newest version and its champion."""
    with door().database.tenant(identity().tenant_id) as connection:
        return json_response(_model_json(_find(connection, name)))


@bp.get("/<name>/versions")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, the newest first", VersionList))
def list_versions(name: str, query: Page) -> Response:
    """List the versions of a model."""
    tenant_id = identity().tenant_id
    before = _before(query.cursor) if query.cursor else None
    with door().database.tenant(tenant_id) as connection:
        _find(connection, name)
        found = registry.versions(
            connection,
            tenant_id=tenant_id,
            name=name,
            before=before,
            limit=query.limit + 1,
        )
    items = [_version_json(one) for one in found[: query.limit]]
    more = len(found) > query.limit
    return _page(items, str(items[-1]["version"]) if more else None)


@bp.get("/<name>/versions/<version>")
@bp.doc(responses=answers(200, "The version", VersionOut))
def get_version(name: str, version: str) -> Response:
    """Show a version by its number, or the ``champion``."""
    with door().database.tenant(identity().tenant_id) as connection:
        return json_response(_version_json(_find_version(connection, name, version)))


@bp.get("/<name>/versions/<version>/artifact")
@bp.doc(
    responses={
        **answers(200, "The bytes, checked by their hash", None, _BYTES),
        304: "The caller has them",
    }
)
def get_artifact(name: str, version: str) -> Response:
    """Download what a version is made of; a viewer's key may not."""
    who = identity()
    if who.role == "viewer":
        raise Forbidden("a viewer's key cannot download what was trained")
    with door().database.tenant(who.tenant_id) as connection:
        found = _find_version(connection, name, version)
    try:
        store = storage.opened(door().settings, tenant_id=who.tenant_id)
        content = store.get(found.artifact_sha256)
    except ArtifactAbsent as error:
        detail = f"the artifact of {name} {found.number} is gone from {store.name}"
        raise NotFound(detail) from error
    except ArtifactDamaged as error:
        detail = f"the artifact of {name} {found.number} is damaged: its hash changed"
        raise StateConflict(detail) from error
    answer = Response(content, mimetype=_BYTES)
    answer.set_etag(found.artifact_sha256)
    filename = f"{name}-{found.number}.bin"
    answer.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    answer.make_conditional(request)
    return answer


@bp.get("/<name>/history")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, the newest first", MoveList))
def list_history(name: str, query: Page) -> Response:
    """List the promotions and rollbacks, also those that the gate refused."""
    tenant_id = identity().tenant_id
    before = whole_number(query.cursor, name="cursor") if query.cursor else None
    with door().database.tenant(tenant_id) as connection:
        found = registry.moves(
            connection,
            tenant_id=tenant_id,
            entry_id=_find(connection, name).id,
            before=before,
            limit=query.limit + 1,
        )
    items = [_move_json(one) for one in found[: query.limit]]
    return _page(items, str(items[-1]["id"]) if len(found) > query.limit else None)


@bp.post("/<name>/promote")
@bp.input(Promotion, arg_name="body")
@bp.doc(responses=answers(202, "The job that does it", JobOut))
def promote_version(name: str, body: Promotion) -> Response:
    """Submit a ``model.promote`` job; its result tells what the gate found."""
    return _submit(name, body, "promote")


@bp.post("/<name>/rollback")
@bp.input(Rollback, arg_name="body")
@bp.doc(responses=answers(202, "The job that does it", JobOut))
def roll_back(name: str, body: Rollback) -> Response:
    """Submit a ``model.rollback`` job that steps back from the champion of now."""
    return _submit(name, body, "rollback")


def _submit(name: str, body: Promotion | Rollback, act: str) -> Response:
    """Submit the job, and note who asked in the same transaction."""
    who, call = identity(), Once.of(json_body())
    with door().database.tenant(who.tenant_id) as connection:
        entry = _find(connection, name)
        given = {**body.model_dump(exclude_unset=True), "name": name}
        if isinstance(body, Promotion):
            _find_version(connection, name, str(body.version))
        elif body.expected is None:
            # A second job of the same wish must not go back a second step.
            given["expected"] = entry.champion
        job, replayed = submit.submit(
            connection,
            tenant_id=who.tenant_id,
            submission=Submission(
                type=f"model.{act}", params=given, traceparent=trace_context()
            ),
            once=call.pair,
        )
        if not replayed:
            note(connection, f"model.{act}.ask", name, {"job_id": job.id})
    return marked(job_response(job, accepted=True), replayed=replayed)


def _find(connection: Connection, name: str) -> Entry:
    found = registry.find(connection, tenant_id=identity().tenant_id, name=name)
    if found is None:
        raise NotFound(f"no model {name}")
    return found


def _find_version(connection: Connection, name: str, version: str) -> Version:
    found = registry.version(
        connection,
        tenant_id=identity().tenant_id,
        name=name,
        number="champion" if version == "champion" else _known(version),
    )
    if found is None:
        raise NotFound(f"no version {version} of a model {name}")
    return found


def _before(cursor: str) -> int:
    return min(whole_number(cursor, name="cursor"), _LARGEST_NUMBER)


def _known(text: str) -> int:
    """Return the number in an address; no version has the number 0."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < _LONG else 0
    return number if number <= _LARGEST_NUMBER else 0


def _page(items: list[dict[str, Any]], cursor: str | None) -> Response:
    return next_link(json_response({"items": items, "next_cursor": cursor}), cursor)


def _model_json(entry: Entry) -> dict[str, Any]:
    base = f"/v1/models/{entry.name}"
    return {
        "name": entry.name,
        "latest": entry.latest,
        "champion": entry.champion,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "links": {
            "self": base,
            **{
                name: f"{base}/{name}"
                for name in ("versions", "history", "promote", "rollback")
            },
        },
    }


def _version_json(found: Version) -> dict[str, Any]:
    base = f"/v1/models/{found.entry}/versions/{found.number}"
    shown = vars(found).copy()
    artifact = {
        name: shown.pop(f"artifact_{name}") for name in ("sha256", "bytes", "store")
    }
    return {
        "name": shown.pop("entry"),
        "version": shown.pop("number"),
        **shown,
        "artifact": artifact,
        "links": {
            "self": base,
            "artifact": f"{base}/artifact",
            "model": f"/v1/models/{found.entry}",
        },
    }


def _move_json(found: Move) -> dict[str, Any]:
    shown = vars(found).copy()
    return {**shown, "gate": shown.pop("verdict")}
