"""Observations on their way out: of one series or many, as known now or then."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from db import issues, observation_history
from db.observation_export import DETAILED, PLAIN, named_series, stream_many
from db.observation_views import View as Shown
from tasks.errors import NotFound
from web import formats
from web.door import door, identity
from web.exports import export_response
from web.observation_formats import FORMS, as_json, writer
from web.openapi import answers
from web.point_formats import NDJSON
from web.representation import json_response
from web.requests import next_link
from web.routes.series import find_series
from web.schemas.series import (
    ExportQuery,
    HistoryOut,
    HistoryQuery,
    IssueList,
    IssueQuery,
    ObservationsOut,
    Stretch,
    View,
)

bp = APIBlueprint("observations", __name__, url_prefix="/v1", tag="Observations")


@bp.get("/observations")
@bp.input(ExportQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "By series and time", None, *FORMS.values()))
def export_observations(query: ExportQuery) -> Response:
    """Stream observations of many series as NDJSON, CSV, Arrow or Parquet."""
    tenant_id = identity().tenant_id
    keys = None if query.series is None else query.series.split(",")
    with door().database.tenant(tenant_id) as connection:
        found = named_series(
            connection,
            tenant_id=tenant_id,
            keys=keys,
            prefix=query.prefix,
            tag=query.tag,
        )
    if missing := set(keys or ()) - set(found.values()):
        raise NotFound(f"no series {min(missing)}")
    form = _wanted(query.format, NDJSON)
    columns = DETAILED if query.versions else PLAIN
    return export_response(_batches(found, query), writer(form, columns), form=form)


@bp.get("/series/<key>/observations")
@bp.input(Stretch, location="query", arg_name="stretch")
@bp.doc(
    responses=answers(200, "The stretch, ascending", ObservationsOut, *FORMS.values())
)
def get_observations(key: str, stretch: Stretch) -> Response:
    """Stream a stretch in any format; ``as_of`` gives what was known then."""
    found = find_series(key)
    columns = (DETAILED if stretch.versions else PLAIN)[1:]
    form = _wanted(stretch.format, formats.JSON, formats.JSON)
    write = writer(form, columns)
    if form == formats.JSON:
        write = as_json({"key": key}, columns)
    return export_response(_batches({found.id: key}, stretch), write, form=form)


@bp.get("/series/<key>/history")
@bp.input(HistoryQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "The first known first", HistoryOut))
def get_history(key: str, query: HistoryQuery) -> Response:
    """Show every version of one observation, also those that withdrew it."""
    found = find_series(key)
    with door().database.tenant(identity().tenant_id) as connection:
        versions = observation_history.history(
            connection,
            series_id=found.id,
            ts=query.ts,
            as_of=query.as_of,
            known_by=query.known_by,
        )
    body = {"key": key, "ts": query.ts, "versions": [vars(one) for one in versions]}
    return json_response(body)


@bp.get("/series/<key>/issues")
@bp.input(IssueQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, the newest first", IssueList))
def list_issues(key: str, query: IssueQuery) -> Response:
    """List when a forecast from outside was issued, and how far each issue reaches."""
    found = find_series(key)
    with door().database.tenant(identity().tenant_id) as connection:
        some = issues.page(
            connection,
            series_id=found.id,
            limit=query.limit + 1,
            before=query.cursor,
            start=query.start,
            end=query.end,
            as_of=query.as_of,
            known_by=query.known_by,
        )
    shown = some[: query.limit]
    cursor = _rfc3339(shown[-1].issued_at) if len(some) > query.limit else None
    body = {"items": [vars(one) for one in shown], "next_cursor": cursor}
    return next_link(json_response(body), cursor)


def _rfc3339(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


def _wanted(asked: str | None, default: str, *more: str) -> str:
    """Return the media type that is asked for in the query, else by Accept."""
    known = {"json": formats.JSON, **{str(name): form for name, form in FORMS.items()}}
    if asked is not None:
        return known[asked]
    offered = [*more, *FORMS.values()]
    return request.accept_mimetypes.best_match(offered, default=default) or default


def _batches(found: Mapping[int, str], view: View) -> Iterator[Any]:
    database, tenant_id = door().database, identity().tenant_id

    def batches() -> Iterator[Any]:
        with database.tenant(tenant_id) as connection:
            yield from stream_many(connection, series=found, **_shown(view))

    return batches()


def _shown(view: View) -> Shown:
    lead = None if view.lead_h is None else timedelta(hours=view.lead_h)
    return {
        "start": view.start,
        "end": view.end,
        "as_of": view.as_of,
        "known_by": view.known_by,
        "versions": view.versions or "none",
        "issue": view.issue,
        "lead": lead,
    }
