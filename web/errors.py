"""The one table from exceptions to problem documents (RFC 9457)."""

import logging
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from apiflask.exceptions import HTTPError
from flask import Flask, Response, g, redirect, render_template, request
from pydantic import ValidationError
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge

from db.errors import KeyInFlight, KeyReused
from tasks.errors import (
    FieldError,
    InvalidParams,
    NotFound,
    QuotaExceeded,
    SourceUnavailable,
    StateConflict,
)
from tasks.submit import field_errors
from web.stream import TooManyStreams

_log = logging.getLogger(__name__)


class Unauthenticated(Exception):
    """The request has no key, or one that is unknown, expired or revoked."""


class Forbidden(Exception):
    """The key's role does not allow the call."""


class Malformed(Exception):
    """The request cannot be read at all."""


class TooManyRequests(Exception):
    """The key has called more often than it may."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class WrongMediaType(Exception):
    """The body is of a type this call does not take."""


@dataclass(frozen=True)
class Kind:
    """How a class of errors is told."""

    status: int
    name: str
    title: str
    retry_after_s: int | None = None


_KINDS: dict[type[Exception], Kind] = {
    Unauthenticated: Kind(401, "unauthenticated", "A valid API key is needed"),
    Forbidden: Kind(403, "forbidden", "Not allowed"),
    NotFound: Kind(404, "not-found", "Not found"),
    StateConflict: Kind(409, "state-conflict", "Not possible in this state"),
    KeyInFlight: Kind(409, "key-in-flight", "The first request is still running", 1),
    KeyReused: Kind(422, "key-reused", "The idempotency key had another body"),
    InvalidParams: Kind(422, "invalid-values", "Some values are not valid"),
    Malformed: Kind(400, "malformed", "The request cannot be read"),
    RecursionError: Kind(400, "malformed", "The request cannot be read"),
    WrongMediaType: Kind(415, "wrong-media-type", "The media type is not supported"),
    TooManyStreams: Kind(429, "too-many-streams", "Too many held requests", 5),
    QuotaExceeded: Kind(429, "quota-exceeded", "The quota is used up", 30),
    TooManyRequests: Kind(429, "too-many-requests", "Too many requests"),
    SourceUnavailable: Kind(503, "storage-unavailable", "The storage does not answer"),
}
_DETAILS: dict[type[Exception], str] = {
    Unauthenticated: "send Authorization: Bearer <api key>; the key may be unknown, "
    "expired or revoked",
    KeyInFlight: "a request with this Idempotency-Key is being worked on; try again",
    KeyReused: "this Idempotency-Key was used with another body; use a new key",
    TooManyStreams: "too many requests are being held; poll instead, or try again",
    RecursionError: "the body is nested too deeply",
}
_NO_DATABASE = {"OperationalError", "InterfaceError", "TimeoutError"}
"""psycopg's and SQLAlchemy's names for a server that does not answer."""


def problem(
    status: int,
    name: str,
    title: str,
    *,
    detail: str,
    errors: tuple[FieldError, ...] = (),
) -> Response:
    """Return a problem document as a response; in the console, a page that says it."""
    body: dict[str, Any] = {
        "type": f"/problems/{name}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": quote(request.path, safe="/:@!$&'()*+,;="),
        "trace_id": g.get("trace_id") or secrets.token_hex(16),
    }
    if errors:
        body["errors"] = [vars(error) for error in errors]
    if request.path.startswith("/console"):
        page = render_template("problem.html", problem=body)
        return Response(page, status=status, mimetype="text/html")
    return Response(
        orjson.dumps(body), status=status, mimetype="application/problem+json"
    )


def register_errors(app: Flask) -> None:
    """Give every exception of the table, and any other, its problem document."""
    for kind in _KINDS:
        app.register_error_handler(kind, _from_table)
    app.register_error_handler(HTTPException, _from_werkzeug)
    app.register_error_handler(HTTPError, _from_apiflask)
    app.register_error_handler(Exception, _unforeseen)


def as_problem(error: InvalidParams) -> dict[str, Any]:
    """Return the problem of one item of a batch."""
    kind = _KINDS[InvalidParams]
    return {
        "type": f"/problems/{kind.name}",
        "title": kind.title,
        "status": kind.status,
        "detail": error.detail,
        "errors": [vars(item) for item in error.errors],
    }


def _from_table(error: Exception) -> Response:
    if isinstance(error, Unauthenticated) and request.path.startswith("/console/"):
        return redirect(f"/?{urlencode({'next': request.path})}")  # type: ignore[return-value] # werkzeug's base class
    ancestry = (kind for kind in type(error).__mro__ if kind in _KINDS)
    found = next(ancestry)
    kind = _KINDS[found]
    answer = problem(
        kind.status,
        kind.name,
        kind.title,
        detail=_DETAILS.get(found) or str(error),
        errors=error.errors if isinstance(error, InvalidParams) else (),
    )
    retry_after_s = getattr(error, "retry_after_s", kind.retry_after_s)
    if retry_after_s is not None:
        answer.headers["Retry-After"] = str(retry_after_s)
    if found is Unauthenticated:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _from_werkzeug(error: HTTPException) -> Response:
    status, title = error.code or 500, error.name.capitalize()
    name = error.name.lower().replace(" ", "-")
    detail = error.description or error.name
    if isinstance(error, RequestEntityTooLarge):
        name, title = "too-large", "The body is too large"
        detail = "the body is larger than this call takes"
    elif isinstance(error, BadRequest):
        name, title = "malformed", _KINDS[Malformed].title
    answer = problem(status, name, title, detail=detail)
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(allowed)
    return answer


def _from_apiflask(error: HTTPError) -> Response:
    """Tell what pydantic found, with JSON pointers."""
    found = error.__cause__
    errors: tuple[FieldError, ...] = ()
    if isinstance(found, ValidationError):
        inside = request.args if "query" in error.detail else request.get_json()
        errors = field_errors(found, given=inside)
    kind = _KINDS[InvalidParams]
    detail = "; ".join(f"{one.pointer or '/'}: {one.detail}" for one in errors[:3])
    return problem(
        kind.status, kind.name, kind.title, detail=detail or str(error), errors=errors
    )


def _unforeseen(error: Exception) -> Response:
    _log.exception("unforeseen error", exc_info=error)
    names = {kind.__name__ for kind in type(error).__mro__}
    room = type(error).__module__.partition(".")[0]
    if room in ("psycopg", "sqlalchemy") and names & _NO_DATABASE:
        answer = problem(
            503,
            "database-unavailable",
            "The database does not answer",
            detail="try again in a moment",
        )
        answer.headers["Retry-After"] = "2"
        return answer
    return problem(
        500,
        "internal",
        "Something went wrong",
        detail="the log has more under the trace_id of this answer",
    )
