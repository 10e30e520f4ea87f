"""All events of a tenant as they happen."""

from apiflask import APIBlueprint
from flask import Response, request

from db import feed
from web.door import door, identity
from web.errors import Malformed
from web.feeds import stream_response, stream_tenant
from web.openapi import answers

bp = APIBlueprint("events", __name__, url_prefix="/v1/events", tag="Events")


@bp.get("")
@bp.doc(responses=answers(200, "Server-sent events", None, "text/event-stream"))
def get_events() -> Response:
    """Stream the events of all jobs; ``Last-Event-ID`` resumes without a gap."""
    told = request.headers.get("Last-Event-ID") or request.args.get("after")
    mark = feed.parse(told) if told else None
    if told and mark is None:
        raise Malformed("Last-Event-ID is not the id of an event of this stream")
    here = door()
    return stream_response(
        stream_tenant(
            here.hub, here.database, tenant_id=identity().tenant_id, mark=mark
        )
    )
