"""What was read of a source: runs, windows, series, and rows that were held back."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import quarantine, source_ledger, source_series
from db.quarantine import Wanted
from db.session import Connection
from db.source_series import SourceSeries
from db.sources import Source
from tasks import sources
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.requests import next_link, whole_number
from web.schemas.jobs import Page
from web.schemas.sources import (
    HeldList,
    HeldQuery,
    RunList,
    SeriesQuery,
    SourceSeriesList,
    WindowList,
    WindowQuery,
)

bp = APIBlueprint(
    "source_reads", __name__, url_prefix="/v1/sources", tag="What sources read"
)


@bp.get("/<name>/runs")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", RunList))
def list_runs(name: str, query: Page) -> Response:
    """List the loads of a source and what became of their rows."""
    with door().database.tenant(identity().tenant_id) as connection:
        source = _find(connection, name)
        found = source_ledger.runs(
            connection,
            tenant_id=source.tenant_id,
            source_id=source.id,
            before=query.cursor,
            limit=query.limit + 1,
        )
    return _page([vars(one) for one in found], query.limit, "id")


@bp.get("/<name>/windows")
@bp.input(WindowQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, the latest stretch first", WindowList))
def list_windows(name: str, query: WindowQuery) -> Response:
    """List the partitions of a source with what became of each."""
    with door().database.tenant(identity().tenant_id) as connection:
        source = _find(connection, name)
        found = source_ledger.page(
            connection,
            tenant_id=source.tenant_id,
            source_id=source.id,
            state=query.state,
            before=query.cursor,
            limit=query.limit + 1,
        )
    return _page([vars(one) for one in found], query.limit, "partition_id")


@bp.get("/<name>/series")
@bp.input(SeriesQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, by the source's key", SourceSeriesList))
def list_source_series(name: str, query: SeriesQuery) -> Response:
    """List the series of a source: how far each has come, and how fresh it is."""
    with door().database.tenant(identity().tenant_id) as connection:
        source = _find(connection, name)
        found = source_series.page(
            connection,
            tenant_id=source.tenant_id,
            source_id=source.id,
            freshness=query.freshness,
            after=query.cursor,
            limit=query.limit + 1,
        )
    return _page([_series_json(one) for one in found], query.limit, "local_key")


@bp.get("/<name>/quarantine")
@bp.input(HeldQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", HeldList))
def list_quarantine(name: str, query: HeldQuery) -> Response:
    """List the rows that were not published, each with its reason."""
    before = query.cursor and whole_number(query.cursor, name="cursor")
    with door().database.tenant(identity().tenant_id) as connection:
        source = _find(connection, name)
        found = quarantine.page(
            connection,
            tenant_id=source.tenant_id,
            source_id=source.id,
            wanted=Wanted(query.state, query.partition),
            before=before or None,
            limit=query.limit + 1,
        )
    return _page([vars(one) for one in found], query.limit, "id")


def _find(connection: Connection, name: str) -> Source:
    return sources.find(connection, tenant_id=identity().tenant_id, name=name)


def _page(items: list[dict[str, Any]], limit: int, key: str) -> Response:
    cursor = str(items[limit - 1][key]) if len(items) > limit else None
    body = {"items": items[:limit], "next_cursor": cursor}
    return next_link(json_response(body), cursor)


def _series_json(one: SourceSeries) -> dict[str, Any]:
    shown = {name: value for name, value in vars(one).items() if name != "series_id"}
    return {**shown, "links": {"series": f"/v1/series/{one.key}"}}
