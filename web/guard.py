"""Who may come in: every route needs a key unless it is marked open."""

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, current_app, g, request, session

from db import keys
from web.door import door
from web.errors import Forbidden, Unauthenticated

_SAFE = {"GET", "HEAD", "OPTIONS"}
F = TypeVar("F", bound=Callable[..., object])


def open_to_all(view: F) -> F:
    """Mark a view that needs no key."""
    view.__dict__["open_to_all"] = True
    return view


def register_guard(app: Flask) -> None:
    """Check the key before every request."""
    app.before_request(_check)


def is_open(endpoint: str | None) -> bool:
    """Return whether an endpoint, or a path that has none, needs no key."""
    if endpoint is None or endpoint == "static":
        return True
    return "open_to_all" in current_app.view_functions[endpoint].__dict__


def sign_in(secret: str) -> bool:
    """Remember in the session cookie, which key signed in; return whether it is good.

    The cookie names the key, it does not hold it: a revoked key ends the session.
    """
    with door().database.system() as connection:
        found = keys.identify(connection, secret=secret)
    if found is None:
        return False
    session.clear()
    session["key_id"] = found.key_id
    return True


def _check() -> None:
    if is_open(request.endpoint):
        return
    secret = _secret()
    key_id = None
    if not secret:
        # The console's cookie reads only, so no other site can make it write.
        key_id = session.get("key_id") if request.method in _SAFE else None
    if not secret and not key_id:
        raise Unauthenticated
    with door().database.system() as connection:
        found = keys.identify(connection, secret=secret.strip() or None, key_id=key_id)
    if found is None:
        raise Unauthenticated
    if found.role == "viewer" and request.method not in _SAFE:
        raise Forbidden("a viewer's key can read, not write")
    door().rates.count(found.key_id)
    g.identity = found


def _secret() -> str:
    """Return the key that the request brings, where its clients put it."""
    if request.blueprint == "anomalydetector":
        brought = request.headers.get("Ocp-Apim-Subscription-Key", "")
        if brought:
            return brought
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret if scheme.lower() == "bearer" else ""
