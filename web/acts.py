"""What calls that make or change something share: made once, noted in the audit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from db import audit, idempotency
from db.session import Connection
from tasks.submit import fingerprint
from web.door import identity
from web.representation import json_response
from web.requests import idempotency_key, json_body, next_link


@dataclass(frozen=True)
class Once:
    """The request's idempotency key and what the request asks for.

    Without a key nothing is recalled or remembered.
    """

    key: str | None
    mark: bytes

    @classmethod
    def of(cls, asked: Any) -> "Once":
        """Return the key of this request, which asks for ``asked`` at its path."""
        key = idempotency_key()
        return cls(key, b"" if key is None else fingerprint(request.path, asked))

    @property
    def pair(self) -> tuple[str, bytes] | None:
        """The key and the mark; None without a key."""
        return None if self.key is None else (self.key, self.mark)

    def recall(self, connection: Connection) -> str | None:
        """Return what an earlier request made; None if there was none."""
        if self.key is None:
            return None
        return idempotency.recall(
            connection,
            tenant_id=identity().tenant_id,
            key=self.key,
            fingerprint=self.mark,
        )

    def remember(self, connection: Connection, made: str) -> None:
        """Keep what this request made, in the transaction that made it."""
        if self.key is not None:
            idempotency.remember(
                connection,
                tenant_id=identity().tenant_id,
                key=self.key,
                fingerprint=self.mark,
                resource_id=made,
            )


def once(connection: Connection, make: Callable[[], str]) -> tuple[str, bool]:
    """Make something unless the request's idempotency key made it before.

    Args:
        connection: the transaction that makes it.
        make: makes it and returns its id.

    Returns:
        The id, and whether it was made by an earlier request.
    """
    call = Once.of(json_body())
    known = call.recall(connection)
    if known is not None:
        return known, True
    made = make()
    call.remember(connection, made)
    return made, False


def created(body: dict[str, Any], *, replayed: bool, status: int = 201) -> Response:
    """Return the answer of a call that made something."""
    answer = json_response(body, status)
    answer.headers["Location"] = body["links"]["self"]
    return marked(answer, replayed=replayed)


def marked(answer: Response, *, replayed: bool) -> Response:
    """Return an answer that says if an earlier request had done what was asked."""
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
