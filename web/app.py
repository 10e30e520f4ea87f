"""The Flask application: blueprints, guard, errors, OpenAPI document."""

import logging
import secrets

import structlog
from apiflask import APIFlask
from flask import Response, g, request

from db.session import Database
from tasks import traces
from tasks.settings import Settings
from web import openapi
from web.door import Door, door
from web.errors import register_errors
from web.guard import open_to_all, register_guard
from web.metrics import register_metrics
from web.rates import Rates
from web.requests import cap_body, refuse_unstorable, register_json, traceparent
from web.routes import (
    alert_rules,
    anomalydetector,
    catalogue,
    channels,
    charts,
    connectors,
    console,
    credentials,
    differences,
    events,
    feedback,
    health,
    incident_charts,
    incidents,
    job_forecasts,
    jobs,
    models,
    monitoring,
    observations,
    queues,
    recommendations,
    replay,
    schedules,
    series,
    source_jobs,
    source_reads,
    sources,
    uploads,
    webhooks,
)
from web.stream import Hub
from web.words import register_words

BLUEPRINTS = (
    jobs.bp,
    job_forecasts.bp,
    replay.bp,
    events.bp,
    queues.bp,
    schedules.bp,
    series.bp,
    observations.bp,
    connectors.bp,
    credentials.bp,
    sources.bp,
    source_jobs.bp,
    source_reads.bp,
    differences.bp,
    models.bp,
    monitoring.bp,
    incidents.bp,
    channels.bp,
    alert_rules.bp,
    recommendations.bp,
    feedback.bp,
    uploads.bp,
    webhooks.bp,
    catalogue.bp,
    charts.bp,
    incident_charts.bp,
    anomalydetector.bp,
    health.bp,
    console.bp,
)
_log = logging.getLogger(__name__)

_FAULT = 500
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
    database = Database(
        settings.database_url,
        pool_size=16,
        name="forebay-web",
        patience={"lock_timeout": "10s"},
    )
    hub = Hub(database, limit=settings.streams, tenant_limit=settings.tenant_streams)
    app.extensions["forebay"] = Door(
        settings,
        database,
        hub,
        Rates(per_minute=settings.calls_per_minute),
    )
    register_json(app)
    register_errors(app)
    register_words(app)
    register_guard(app)
    register_metrics(app, database, hub, streams=settings.streams)
    traces.configure(settings.traces_url, service="forebay-web")
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
    g.span = traces.begin(request.method, "server", parent=given)
    # Without a collector the trace is the client's, or one of which only logs know.
    g.traceparent = g.span.traceparent or (
        f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    )
    g.trace_id = g.traceparent.split("-")[1]
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
    _tell(answer)
    return answer


def _tell(answer: Response) -> None:
    """Say in the log and in the trace how the request was answered."""
    # The pattern, never the address: a stranger writes that, and it may hold a secret.
    route = str(request.url_rule) if request.url_rule else "unknown"
    told = {"method": request.method, "route": route, "status": answer.status_code}
    worth = request.method not in ("GET", "HEAD") or answer.status_code >= _FAULT
    _log.log(logging.INFO if worth else logging.DEBUG, "request answered", extra=told)
    if "span" in g:
        g.span.tell(
            {
                "http.request.method": request.method,
                "http.route": route,
                "http.response.status_code": answer.status_code,
            }
        )
        if "identity" in g:
            g.span.tell({"forebay.tenant_id": g.identity.tenant_id})
        g.span.failed = answer.status_code >= _FAULT
        g.span.end(name=f"{request.method} {route}")
