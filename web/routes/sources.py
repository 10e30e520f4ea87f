"""Sources: create, read, change, enable, pause, delete."""

from collections.abc import Collection, Mapping
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import keys, quarantine, source_ledger, source_series
from db import sources as rows
from db.schedules import clock
from db.session import Connection
from db.sources import Setup, Source
from tasks import sources, taps
from web import acts
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.requests import next_link
from web.schemas.jobs import Page
from web.schemas.sources import (
    ChangeSource,
    CreateSource,
    Options,
    SourceDetail,
    SourceList,
    SourceNow,
)

bp = APIBlueprint("sources", __name__, url_prefix="/v1/sources", tag="Sources")

_OPTIONS = tuple(Options.model_fields)
_LINKS = (
    *("enable", "pause", "test", "preview", "run", "backfill", "replay"),
    *("runs", "windows", "series", "quarantine"),
)


@bp.post("")
@bp.input(CreateSource, arg_name="body")
@bp.doc(responses=answers(201, "The source", SourceNow))
def create_source(body: CreateSource) -> Response:
    """Create a source from a connector; its config is checked, nothing is asked."""
    tenant_id, allowed = identity().tenant_id, _taps()
    with door().database.tenant(tenant_id) as connection:
        name, replayed = acts.once(
            connection, lambda: _create(connection, body, allowed)
        )
        made = sources.find(connection, tenant_id=tenant_id, name=name)
        shown = _now_json(connection, made)
    return acts.created(shown, replayed=replayed)


@bp.get("")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, by name", SourceList))
def list_sources(query: Page) -> Response:
    """List the tenant's sources."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = rows.page(
            connection, tenant_id=tenant_id, after=query.cursor, limit=query.limit + 1
        )
    items = [_source_json(one) for one in found[: query.limit]]
    cursor = items[-1]["name"] if len(found) > query.limit else None
    return next_link(json_response({"items": items, "next_cursor": cursor}), cursor)


@bp.get("/<name>")
@bp.doc(responses=answers(200, "The source and how it fares", SourceDetail))
def get_source(name: str) -> Response:
    """Show a source: its config, its next read, what is fresh, failed and held."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = sources.find(connection, tenant_id=tenant_id, name=name)
        shown = {**_now_json(connection, found), **_fares(connection, found)}
    return json_response(shown)


@bp.patch("/<name>")
@bp.input(ChangeSource, arg_name="body")
@bp.doc(responses=answers(200, "The source", SourceNow))
def change_source(name: str, body: ChangeSource) -> Response:
    """Change the given fields; its schedule follows, and its breaker is closed."""
    tenant_id, allowed = identity().tenant_id, _taps()
    given = body.model_dump(mode="json", include=body.model_fields_set)
    options = {field: given.pop(field) for field in _OPTIONS if field in given}
    changes = {**given, **({"options": options} if options else {})}
    with door().database.tenant(tenant_id) as connection:
        changed = sources.change(
            connection,
            tenant_id=tenant_id,
            name=name,
            changes=changes,
            now=clock(connection),
            allowed=allowed,
        )
        if changes:
            told = {"fields": sorted(body.model_fields_set)}
            note(connection, "source.change", changed, told)
        shown = _now_json(connection, changed)
    return json_response(shown)


@bp.delete("/<name>")
@bp.doc(responses={204: "It is gone, with its ledger; observations stay"})
def delete_source(name: str) -> Response:
    """Delete a source with its schedule and ledger; what it read stays."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = sources.find(connection, tenant_id=tenant_id, name=name)
        sources.remove(connection, tenant_id=tenant_id, name=name)
        note(connection, "source.delete", found)
    return Response(status=204)


@bp.post("/<name>/enable")
@bp.doc(responses=answers(200, "The source", SourceNow))
def enable_source(name: str) -> Response:
    """Let a source run; of one that is off by default this accepts the licence."""
    return _switch(name, enabled=True)


@bp.post("/<name>/pause")
@bp.doc(responses=answers(200, "The source", SourceNow))
def pause_source(name: str) -> Response:
    """Pause: nothing is read until it is enabled, and nothing counts as missed."""
    return _switch(name, enabled=False)


def note(
    connection: Connection,
    action: str,
    source: Source,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add to the audit trail, in the transaction that acts."""
    acts.note(connection, action, source.name, {"id": source.id, **(detail or {})})


def _switch(name: str, *, enabled: bool) -> Response:
    tenant_id, allowed = identity().tenant_id, _taps()
    with door().database.tenant(tenant_id) as connection:
        changed = sources.switch(
            connection,
            tenant_id=tenant_id,
            name=name,
            enabled=enabled,
            now=clock(connection),
            allowed=allowed,
        )
        note(connection, "source.enable" if enabled else "source.pause", changed)
        shown = _now_json(connection, changed)
    return json_response(shown)


def _setup(body: CreateSource) -> Setup:
    return Setup(
        name=body.name,
        connector=body.connector,
        config=body.config,
        credential=body.credential,
        options=body.model_dump(mode="json", include=set(_OPTIONS)),
        enabled=body.enabled,
    )


def _taps() -> list[str]:
    """Return the taps that the tenant may run; asked before its transaction opens."""
    listed = taps.listed(door().settings.source_commands)
    if not listed:
        return []
    with door().database.system() as connection:
        _, alone = keys.known(connection, tenant_id=identity().tenant_id)
    return sorted(taps.of(taps.Runner(identity().tenant, alone), listed))


def _create(
    connection: Connection, body: CreateSource, allowed: Collection[str]
) -> str:
    made = sources.create(
        connection,
        tenant_id=identity().tenant_id,
        setup=_setup(body),
        now=clock(connection),
        allowed=allowed,
    )
    note(connection, "source.create", made, {"connector": made.connector})
    return made.name


def _now_json(connection: Connection, source: Source) -> dict[str, Any]:
    planned = sources.schedule_of(connection, source)
    running = planned is not None and planned.enabled
    return {
        **_source_json(source),
        "next_fire_at": planned.next_fire_at if planned and running else None,
        "fault": planned.fault if planned else None,
    }


def _fares(connection: Connection, source: Source) -> Mapping[str, Any]:
    return {
        "freshness": source_series.freshness_counts(
            connection, tenant_id=source.tenant_id, source_id=source.id
        ),
        "windows": source_ledger.counts(
            connection, tenant_id=source.tenant_id, source_id=source.id
        ),
        "quarantined": quarantine.held_counts(
            connection, tenant_id=source.tenant_id, source_id=source.id
        ),
    }


def _source_json(source: Source) -> dict[str, Any]:
    base = f"/v1/sources/{source.name}"
    return {
        "id": source.id,
        "name": source.name,
        "connector": source.connector,
        "config": source.config,
        "credential": source.credential,
        **{name: source.options.get(name) for name in _OPTIONS},
        "enabled": source.enabled,
        "failures": source.failures,
        "open_until": source.open_until,
        "warnings": sources.warnings(source),
        "created_at": source.created_at,
        "updated_at": source.updated_at,
        "links": {"self": base, **{name: f"{base}/{name}" for name in _LINKS}},
    }
