"""The console: server-rendered pages over the same rows as the API."""

import re
from pathlib import Path
from typing import Any

import flask_swagger_ui
import orjson
from apiflask import APIBlueprint
from flask import (
    Response,
    g,
    redirect,
    render_template,
    request,
    send_from_directory,
    session,
)

from db import incidents, jobs, keys, series
from db.jobs import FINAL_STATES, Job, JobFilter
from db.keys import Identity
from db.session import Connection
from tasks import submit
from tasks.errors import NotFound
from web.door import door, identity
from web.guard import open_to_all, sign_in
from web.representation import job_json

bp = APIBlueprint("console", __name__, enable_openapi=False)

_SWAGGER = Path(flask_swagger_ui.__file__).parent / "dist"
# An address elsewhere would be an open redirect; browsers drop tabs and line ends, and
# take a backslash for a slash, so only plain printable text passes.
_OWN_PATH = re.compile(r"/(?![/\\])[!-~]*")
_SHOWN_JOBS = 25
_SHOWN_SERIES = 50
_SHOWN_STEPS = 24


@bp.get("/")
@open_to_all
def home() -> str | Response:
    """Show the tenant's jobs and series, or the sign-in form."""
    who = _signed_in()
    if who is None:
        return render_template("sign_in.html", next=request.args.get("next", "/"))
    g.identity = who
    with door().database.tenant(who.tenant_id) as connection:
        found = _newest(connection, JobFilter(), _SHOWN_JOBS)
        pictures = [
            job
            for kind in ("forecast.run", "analysis.run")
            for job in _newest(connection, JobFilter(["succeeded"], kind), 1)
        ]
        known = series.page(connection, tenant_id=who.tenant_id, limit=_SHOWN_SERIES)
    return render_template(
        "home.html",
        jobs=[job_json(job) for job in found],
        series=known,
        pictures=pictures,
    )


@bp.get("/console/jobs/<job_id>")
def job_page(job_id: str) -> str:
    """Show a job: live progress while it runs, its picture and table after."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        job = submit.find(connection, tenant_id=tenant_id, job_id=job_id)
        text = jobs.result(connection, tenant_id=tenant_id, job_id=job_id)
    result = orjson.loads(text) if text else None
    return render_template(
        "job.html",
        job=job_json(job),
        ended=job.state in FINAL_STATES,
        result=result,
        drawable=_drawable(job, result),
        steps=_SHOWN_STEPS,
    )


@bp.get("/console/sources")
def sources_page() -> str:
    """Show the sources and how they fare; the page asks the API for every figure."""
    return render_template("sources.html")


@bp.get("/console/incidents")
def incidents_page() -> str:
    """Show the incidents; the page asks the API for every figure."""
    return render_template("incidents.html")


@bp.get("/console/incidents/<incident_id>")
def incident_page(incident_id: str) -> str:
    """Show an incident: what happened, where, what to do, and who was told."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = incidents.find(connection, tenant_id=tenant_id, incident_id=incident_id)
    if found is None:
        raise NotFound(f"no incident {incident_id}")
    return render_template("incident.html", id=found.id)


@bp.post("/console/sign-in")
@open_to_all
def do_sign_in() -> Response | tuple[str, int]:
    """Sign in with an API key; the cookie remembers which key, not the key."""
    target = request.form.get("next", "/")
    if not sign_in(request.form.get("key", "").strip()):
        page = render_template("sign_in.html", next=target, refused=True)
        return page, 401
    safe = target if _OWN_PATH.fullmatch(target) else "/"
    return redirect(safe)  # type: ignore[return-value] # werkzeug's base class


@bp.post("/console/sign-out")
@open_to_all
def do_sign_out() -> Response:
    """Forget the key."""
    session.clear()
    return redirect("/")  # type: ignore[return-value] # werkzeug's base class


@bp.get("/docs")
@open_to_all
def docs() -> str:
    """Show the OpenAPI document for reading and trying."""
    return render_template("docs.html")


@bp.get("/docs/assets/<path:name>")
@open_to_all
def docs_asset(name: str) -> Response:
    """Serve Swagger UI's own files from its package."""
    return send_from_directory(_SWAGGER, name, max_age=86_400)


@bp.app_context_processor
def _everywhere() -> dict[str, Any]:
    return {
        "who": g.get("identity"),
        "flower_url": door().settings.flower_url,
    }


def _signed_in() -> Identity | None:
    key_id = session.get("key_id")
    if key_id is None:
        return None
    with door().database.system() as connection:
        return keys.identify(connection, key_id=key_id)


def _newest(connection: Connection, wanted: JobFilter, limit: int) -> list[Job]:
    return jobs.page(
        connection,
        tenant_id=identity().tenant_id,
        wanted=wanted,
        before=None,
        limit=limit,
    )


def _drawable(job: Job, result: dict[str, Any] | None) -> list[str]:
    """Return the names of the series that have a picture."""
    if result is None or job.type not in ("forecast.run", "analysis.run"):
        return []
    return [item["unique_id"] for item in result["series"]]
