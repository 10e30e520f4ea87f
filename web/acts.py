"""What calls that make or change something share: made once, noted in the audit."""

from collections.abc import Callable
from typing import Any

from flask import Response, request

from db import audit, idempotency
from db.session import Connection
from tasks.submit import fingerprint
from web.door import identity
from web.representation import json_response
from web.requests import idempotency_key, json_body, next_link


def once(connection: Connection, make: Callable[[], str]) -> tuple[str, bool]:
    """Make something unless the request's idempotency key made it before.

    Args:
        connection: the transaction that makes it.
        make: makes it and returns its id.

    Returns:
        The id, and whether it was made by an earlier request.
    """
    key, tenant_id = idempotency_key(), identity().tenant_id
    if key is None:
        return make(), False
    mark = fingerprint(request.path, json_body())
    known = idempotency.recall(
        connection, tenant_id=tenant_id, key=key, fingerprint=mark
    )
    if known is not None:
        return known, True
    made = make()
    idempotency.remember(
        connection, tenant_id=tenant_id, key=key, fingerprint=mark, resource_id=made
    )
    return made, False


def created(body: dict[str, Any], *, replayed: bool, status: int = 201) -> Response:
    """Return the answer of a call that made something."""
    answer = json_response(body, status)
    answer.headers["Location"] = body["links"]["self"]
    if replayed:
        answer.headers["Idempotency-Replayed"] = "true"
    return answer


def note(
    connection: Connection,
    action: str,
    target: str,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write an act of the caller into the audit."""
    who = identity()
    audit.record(
        connection,
        tenant_id=who.tenant_id,
        key_id=who.key_id,
        action=action,
        target=target,
        detail=detail,
    )


def page_of(items: list[dict[str, Any]], *, limit: int) -> Response:
    """Return a page of a list of which one more than ``limit`` was read."""
    shown = items[:limit]
    cursor = str(shown[-1]["id"]) if len(items) > limit else None
    return next_link(json_response({"items": shown, "next_cursor": cursor}), cursor)
