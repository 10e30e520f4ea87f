"""Reading requests: bodies with limits, and the headers every call shares."""

import re
from collections.abc import Callable
from typing import Any, TypeVar, cast
from urllib.parse import unquote, urlencode

import orjson
from flask import Flask, Request, Response, current_app, g, request
from flask.json.provider import JSONProvider
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from tasks.errors import FieldError, InvalidParams
from web.errors import Malformed, WrongMediaType

View = TypeVar("View", bound=Callable[..., Any])

LONGEST_WAIT_S = 60
_OPTIONAL = "body_optional"
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_LONGEST_KEY = 255
_DEEPEST = 200
_DEEPEST_ORJSON = 254  # what orjson writes; it reads 1,024 levels
_LARGEST_ID = 2**63 - 1


class CappedBody:
    """A body that is as long as it says, and not longer than a limit.

    werkzeug's ``max_content_length`` silently ends a chunked body at the limit, and
    gunicorn one whose client has gone, so that the first part of a file would be
    stored as if it were all.
    """

    def __init__(self, body: Any, *, limit: int, announced: int | None) -> None:
        self._body = body
        self._limit = limit
        self._announced = announced or 0
        self._taken = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, all that are left by default.

        Raises:
            RequestEntityTooLarge: there are more than the limit.
            ClientDisconnected: there are fewer than were announced.
        """
        pieces: list[bytes] = []
        while size != 0:
            most = self._limit - self._taken + 1
            piece: bytes = self._body.read(most if size < 0 else min(size, most))
            if not piece and self._taken < self._announced:
                raise ClientDisconnected
            if not piece:
                break
            self._taken += len(piece)
            if self._taken > self._limit:
                raise RequestEntityTooLarge
            pieces.append(piece)
            size -= len(piece) if size > 0 else 0
        return b"".join(pieces)


def cap_body(limit: int) -> None:
    """Refuse a body that is too large, or will turn out to be.

    Raises:
        RequestEntityTooLarge: it says so itself.
    """
    announced, body = request.content_length, request.environ["wsgi.input"]
    if (announced or 0) > limit:
        raise RequestEntityTooLarge
    capped = CappedBody(body, limit=limit, announced=announced)
    request.environ["wsgi.input"] = capped


class JsonRequest(Request):
    """A request whose JSON must be called JSON, if it is called anything."""

    def get_json(self, *args: Any, **options: Any) -> Any:
        """Parse the body; nothing at all is ``{}`` where ``body_optional`` says so.

        Raises:
            WrongMediaType: the body is said to be something else.
        """
        view = current_app.view_functions.get(self.endpoint or "")
        if getattr(view, _OPTIONAL, False) and not self.get_data():
            return {}
        if self.mimetype and not self.is_json:
            raise WrongMediaType(
                f"this call takes Content-Type: application/json, not {self.mimetype}"
            )
        return super().get_json(*args, **options)


class StrictJson(JSONProvider):
    """orjson: no NaN, no infinities, no duplicate ways to write a number."""

    def dumps(self, obj: Any, **options: Any) -> str:
        """Return JSON, compact unless ``indent`` is asked for."""
        indent = orjson.OPT_INDENT_2 if options.get("indent") else 0
        return orjson.dumps(obj, option=orjson.OPT_UTC_Z | indent).decode()

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        """Parse strict JSON.

        Raises:
            Malformed: with the place where the text stops being JSON, or because it
                is nested too deeply or holds a NUL, which no table can.
        """
        try:
            found = orjson.loads(s)
        except orjson.JSONDecodeError as error:
            message = (
                f"the body is not JSON: {error.msg} at line {error.lineno} column "
                f"{error.colno}; NaN and Infinity are not JSON, write null"
            )
            raise Malformed(message) from error
        if b"\\u0000" in (s.encode() if isinstance(s, str) else s):
            _refuse_nul(found)
        _refuse_depth(found)
        return found


def body_optional(view: View) -> View:
    """Let a call be made without a body, where none of its fields is required."""
    setattr(view, _OPTIONAL, True)
    return view


def register_json(app: Flask) -> None:
    """Parse and write JSON strictly everywhere."""
    app.json = StrictJson(app)
    app.request_class = JsonRequest


def refuse_unstorable() -> None:
    """Refuse an address with a NUL in it.

    Raises:
        Malformed: PostgreSQL keeps no such text, so nothing can have this name.
    """
    if "\0" in request.path or "\0" in unquote(request.query_string.decode("latin-1")):
        raise Malformed("the address holds a NUL character")


def _refuse_nul(found: Any) -> None:
    """Walk the parsed body: the escape may also be the text of a backslash."""
    waiting = [found]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str) and "\0" in item:
            raise Malformed("the body holds a NUL character, which cannot be stored")


def _refuse_depth(found: Any) -> None:
    # Writing it is the quickest way to learn how deep it is.
    for _ in range(_DEEPEST_ORJSON - _DEEPEST):
        found = [found]
    try:
        orjson.dumps(found)
    except orjson.JSONEncodeError as error:
        raise Malformed(f"the body is nested deeper than {_DEEPEST} levels") from error


def json_body() -> Any:
    """Return the parsed body."""
    return request.get_json(force=True)


def wait_s() -> int | None:
    """Return how long ``Prefer: wait=`` allows the answer to be held, or None.

    Raises:
        Malformed: the wait is no number of seconds.
    """
    for part in request.headers.get("Prefer", "").split(","):
        name, _, value = part.partition(";")[0].strip().partition("=")
        if name.lower() == "wait":
            seconds = whole_number(value.strip('"'), name="Prefer: wait=")
            return min(LONGEST_WAIT_S, seconds)
    return None


def whole_number(text: str, *, name: str) -> int:
    """Return a number that a header or a cursor holds.

    Raises:
        Malformed: it is not a whole number, or larger than any id.
    """
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > _LARGEST_ID:
        raise Malformed(f"{name} takes a whole number")
    return int(text)


def traceparent() -> str | None:
    """Return the W3C trace context of the request, if it is well-formed."""
    value = request.headers.get("traceparent", "")
    return value if _TRACEPARENT.fullmatch(value) else None


def trace_context() -> str:
    """Return the trace context to store: of this request's span, if it has one.

    Else the client's, or one of the answer's id.
    """
    return cast("str", g.traceparent)


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
