"""Drift that was found, and what came of stored forecasts."""

from apiflask import APIBlueprint
from flask import Response

from db import findings, scores, series
from db.findings import Wanted
from tasks.errors import NotFound
from tasks.findings import finding_json
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.requests import next_link
from web.schemas.jobs import Page
from web.schemas.monitoring import FindingList, FindingOut, FindingQuery, ScoreList

bp = APIBlueprint("monitoring", __name__, url_prefix="/v1", tag="Monitoring")


@bp.get("/drift")
@bp.input(FindingQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", FindingList))
def list_drift(query: FindingQuery) -> Response:
    """List what ``forecast.monitor`` jobs found: open or closed, of a series."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = findings.page(
            connection,
            tenant_id=tenant_id,
            wanted=Wanted(
                open=None if query.state is None else query.state == "open",
                series=query.series,
                kind=query.kind,
            ),
            before=query.cursor,
            limit=query.limit + 1,
        )
    cursor = found[query.limit - 1].id if len(found) > query.limit else None
    items = [finding_json(one) for one in found[: query.limit]]
    return next_link(json_response({"items": items, "next_cursor": cursor}), cursor)


@bp.get("/drift/<finding_id>")
@bp.doc(responses=answers(200, "The finding", FindingOut))
def get_drift(finding_id: str) -> Response:
    """Show a finding."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = findings.by_id(connection, tenant_id=tenant_id, ids=[finding_id])
    if not found:
        raise NotFound(f"no finding {finding_id}")
    return json_response(finding_json(found[0]))


@bp.get("/series/<key>/scores")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, of the newest forecast first", ScoreList))
def list_scores(key: str, query: Page) -> Response:
    """Show what came of the stored forecasts of a series."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        known = series.find(connection, tenant_id=tenant_id, key=key)
        if known is None:
            raise NotFound(f"no series {key}")
        found = scores.page(
            connection,
            tenant_id=tenant_id,
            series_id=known.id,
            before=query.cursor,
            limit=query.limit + 1,
        )
    items = [vars(one) for one in found[: query.limit]]
    cursor = items[-1]["forecast_id"] if len(found) > query.limit else None
    return next_link(json_response({"items": items, "next_cursor": cursor}), cursor)
