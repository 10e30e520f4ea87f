"""The Flask application: blueprints, guard, errors, OpenAPI document."""

import secrets

import structlog
from apiflask import APIFlask
from flask import Response, g, request

from db.session import Database
from tasks.settings import Settings
from web import openapi
from web.door import Door, door
from web.errors import register_errors
from web.guard import open_to_all, register_guard
from web.metrics import register_metrics
from web.requests import cap_body, refuse_unstorable, register_json, traceparent
from web.routes import catalogue, charts, console, health, jobs, series, uploads
from web.stream import Hub

BLUEPRINTS = (
    jobs.bp,
    series.bp,
    uploads.bp,
    catalogue.bp,
    charts.bp,
    health.bp,
    console.bp,
)
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    # Vega compiles chart expressions, which needs eval; no script comes from outside.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'",
}


def create_app(settings: Settings) -> APIFlask:
    """Return the application; it connects at the first request."""
    app = APIFlask(
        __name__,
        title="Forebay",
        version="2026.1",
        spec_path="/openapi.json",
        docs_path=None,
    )
    _configure(app, settings)
    database = Database(settings.database_url, pool_size=16, name="forebay-web")
    hub = Hub(database, limit=settings.streams, tenant_limit=settings.tenant_streams)
    app.extensions["forebay"] = Door(settings, database, hub)
    register_json(app)
    register_errors(app)
    register_guard(app)
    register_metrics(app, database, hub)
    app.before_request(_begin)
    app.before_request_funcs[None].insert(0, app.before_request_funcs[None].pop())
    app.after_request(_finish)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    open_to_all(app.view_functions["openapi.spec"])
    app.spec_processor(openapi.complete)  # type: ignore[arg-type] # JSON is a dict
    return app


def _configure(app: APIFlask, settings: Settings) -> None:
    app.config.update(
        SECRET_KEY=settings.secret_key or secrets.token_hex(32),
        SESSION_COOKIE_NAME="forebay",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        MAX_CONTENT_LENGTH=None,
        OPENAPI_VERSION="3.1.0",
        AUTO_404_RESPONSE=False,
        AUTO_OPERATION_ID=True,
        SERVERS=[{"url": "/"}],
        SPEC_FORMAT="json",
        LOCAL_SPEC_JSON_INDENT=0,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        DESCRIPTION="Jobs over time series: forecasts, ingest and anomaly analysis.",
    )
    app.security_schemes = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key of a tenant.",
        }
    }


def _begin() -> None:
    given = traceparent()
    g.trace_id = given.split("-")[1] if given else secrets.token_hex(16)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(trace_id=g.trace_id)
    settings = door().settings
    uploads_file = request.path == "/v1/uploads"
    cap_body(settings.max_upload_bytes if uploads_file else settings.max_body_bytes)
    refuse_unstorable()


def _finish(answer: Response) -> Response:
    for name, value in _SECURITY_HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers["X-Trace-Id"] = g.get("trace_id", "")
    return answer
