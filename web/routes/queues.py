"""The queues as a tenant sees them: how full, how many slots, paused or not."""

from apiflask import APIBlueprint
from flask import Response

from db import limits, place
from tasks.catalog import QUEUES
from tasks.errors import NotFound
from web.acts import note
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.schemas.queues import QueueList

bp = APIBlueprint("queues", __name__, url_prefix="/v1/queues", tag="Queues")


@bp.get("")
@bp.doc(responses=answers(200, "All queues and the tenant's limits", QueueList))
def list_queues() -> Response:
    """Show each queue with the tenant's jobs in it, and what the tenant may use."""
    return _answer()


@bp.post("/<queue>/pause")
@bp.doc(responses=answers(200, "All queues", QueueList))
def pause_queue(queue: str) -> Response:
    """Keep the tenant's queued jobs from starting; what runs goes on."""
    who = identity()
    with door().database.tenant(who.tenant_id) as connection:
        limits.pause(
            connection,
            tenant_id=who.tenant_id,
            queue=_known(queue),
            paused_by=who.key_id,
        )
        note(connection, "queue.pause", queue)
    return _answer()


@bp.post("/<queue>/resume")
@bp.doc(responses=answers(200, "All queues", QueueList))
def resume_queue(queue: str) -> Response:
    """Let the tenant's queued jobs start again."""
    who = identity()
    with door().database.tenant(who.tenant_id) as connection:
        limits.resume(connection, tenant_id=who.tenant_id, queue=_known(queue))
        note(connection, "queue.resume", queue)
    return _answer()


def _known(queue: str) -> str:
    if queue not in QUEUES:
        raise NotFound(f"no queue {queue}; there are {', '.join(QUEUES)}")
    return queue


def _answer() -> Response:
    tenant_id = identity().tenant_id
    with door().database.system() as connection:
        paused = {
            one.queue: one for one in limits.pauses(connection, tenant_id=tenant_id)
        }
        own = limits.of_tenant(connection, tenant_id=tenant_id)
        loads = place.loads(connection, tenant_id=tenant_id, queues=QUEUES)
    shown = [
        {
            "name": one.queue,
            "queued": one.queued,
            "running": one.running,
            "slots": one.slots,
            "paused_at": paused[one.queue].paused_at if one.queue in paused else None,
            "paused_by": paused[one.queue].paused_by if one.queue in paused else None,
        }
        for one in loads
    ]
    return json_response({"queues": shown, "limits": vars(own)})
