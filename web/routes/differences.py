"""Series that say the same thing and differ, as ``ingest.reconcile`` last told."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import reconciliations
from db.reconciliations import Difference, Wanted
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.requests import next_link, whole_number
from web.schemas.differences import DifferenceList, DifferenceQuery

bp = APIBlueprint(
    "differences", __name__, url_prefix="/v1/differences", tag="Differences"
)


@bp.get("")
@bp.input(DifferenceQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", DifferenceList))
def list_differences(query: DifferenceQuery) -> Response:
    """List the pairs that differ, or did: each as it was last told."""
    before = query.cursor and whole_number(query.cursor, name="cursor")
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = reconciliations.page(
            connection,
            tenant_id=tenant_id,
            wanted=Wanted(query.state, query.group),
            before=before or None,
            limit=query.limit + 1,
        )
    cursor = str(found[query.limit - 1].id) if len(found) > query.limit else None
    items = [_shown(one) for one in found[: query.limit]]
    return next_link(json_response({"items": items, "next_cursor": cursor}), cursor)


def _shown(one: Difference) -> dict[str, Any]:
    told = one.finding
    return {
        **told,
        "state": one.state,
        "since": one.at,
        "job_id": one.job_id,
        "links": {**told["links"], "job": f"/v1/jobs/{one.job_id}"},
    }
