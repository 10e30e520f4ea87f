"""Reading requests: bodies with limits, and the headers every call shares."""

import re
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Flask, Response, request
from flask.json.provider import JSONProvider
from werkzeug.exceptions import BadRequest

from tasks.errors import FieldError, InvalidParams
from web.errors import Malformed

LONGEST_WAIT_S = 60
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_LONGEST_KEY = 255


class StrictJson(JSONProvider):
    """orjson: no NaN, no infinities, no duplicate ways to write a number."""

    def dumps(self, obj: Any, **_options: Any) -> str:
        """Return compact JSON."""
        return orjson.dumps(obj, option=orjson.OPT_UTC_Z).decode()

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        """Parse strict JSON.

        Raises:
            Malformed: with the place where the text stops being JSON.
        """
        try:
            return orjson.loads(s)
        except orjson.JSONDecodeError as error:
            message = (
                f"the body is not JSON: {error.msg} at line {error.lineno} column "
                f"{error.colno}; NaN and Infinity are not JSON, write null"
            )
            raise Malformed(message) from error


def register_json(app: Flask) -> None:
    """Parse and write JSON strictly everywhere."""
    app.json = StrictJson(app)


def json_body() -> Any:
    """Return the parsed body.

    Raises:
        Malformed: the body is not JSON.
    """
    try:
        return request.get_json(force=True)
    except BadRequest as error:
        raise Malformed("the body is not JSON") from error


def wait_s() -> float | None:
    """Return how long ``Prefer: wait=`` allows the answer to be held, or None."""
    for part in request.headers.get("Prefer", "").split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "wait":
            try:
                return float(min(LONGEST_WAIT_S, max(0, int(value))))
            except ValueError as error:
                raise Malformed("Prefer: wait= takes whole seconds") from error
    return None


def traceparent() -> str | None:
    """Return the W3C trace context of the request, if it is well-formed."""
    value = request.headers.get("traceparent", "")
    return value if _TRACEPARENT.fullmatch(value) else None


def idempotency_key() -> str | None:
    """Return the request's idempotency key, or None.

    Raises:
        InvalidParams: the key is empty or longer than 255 characters.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST_KEY:
        detail = f"an Idempotency-Key has 1 to {_LONGEST_KEY} characters"
        raise InvalidParams(detail, (FieldError("", detail),))
    return key


def next_link(answer: Response, cursor: str | None) -> Response:
    """Add the Link header to the next page, where there is one."""
    if cursor is not None:
        query = urlencode({**request.args.to_dict(), "cursor": cursor})
        answer.headers["Link"] = f'<{request.path}?{query}>; rel="next"'
    return answer
