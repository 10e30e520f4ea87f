"""The console: server-rendered pages over the same rows as the API."""

import re
from pathlib import Path
from typing import Any

import flask_swagger_ui
import orjson
from apiflask import APIBlueprint
from flask import (
    Response,
    current_app,
    g,
    redirect,
    render_template,
    request,
    send_from_directory,
    session,
)

from db import incidents, jobs, keys, series, uploads
from db.jobs import FINAL_STATES, Job, JobFilter
from db.keys import Identity
from db.session import Connection
from tasks import sources, submit
from tasks.errors import NotFound
from web.door import door, identity
from web.figures import tables
from web.guard import open_to_all, sign_in
from web.representation import job_json
from web.subjects import subject

bp = APIBlueprint("console", __name__, enable_openapi=False)

_SWAGGER = Path(flask_swagger_ui.__file__).parent / "dist"
# An address elsewhere would be an open redirect; browsers drop tabs and line ends, and
# take a backslash for a slash, so only plain printable text passes.
_OWN_PATH = re.compile(r"/(?![/\\])[!-~]*")
_SHOWN_JOBS = 25
_SHOWN_SERIES = 50
_SHOWN_STEPS = 24
_SHOWN_ENTRIES = 100


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
        about = _subjects(connection, found)
    return render_template(
        "home.html",
        jobs=[{**job_json(job), "about": about[job.id]} for job in found],
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
        about = _subjects(connection, [job])[job.id]
    result = orjson.loads(text) if text else None
    return render_template(
        "job.html",
        job=job_json(job),
        about=about,
        tables=tables(job.type, result),
        ended=job.state in FINAL_STATES,
        result=result,
        drawable=_drawable(job, result),
        steps=_SHOWN_STEPS,
    )


@bp.get("/console/sources")
def sources_page() -> str:
    """Show the sources and how they fare; the page asks the API for every figure."""
    return render_template("sources.html")


@bp.get("/console/sources/<name>")
def source_page(name: str) -> str:
    """Show a source: its runs, windows, series and the rows that are held."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = sources.find(connection, tenant_id=tenant_id, name=name)
    return render_template("source.html", name=found.name)


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
        acted = _who_acted(connection, found)
    return render_template("incident.html", id=found.id, names=acted)


@bp.get("/console/<path:rest>")
def no_page(rest: str) -> str:
    """Say that there is no such page, after the sign-in as everywhere."""
    raise NotFound(f"there is no page /console/{rest}")


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


@bp.get("/favicon.ico")
@open_to_all
def favicon() -> Response:
    """Serve the picture that browsers ask for beside what is no page."""
    folder = Path(current_app.static_folder or "static")
    return send_from_directory(folder, "forebay.svg", max_age=86_400)


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


def _subjects(connection: Connection, found: list[Job]) -> dict[str, str]:
    """Return what jobs are about, by their ids."""
    files = uploads.names(
        connection,
        tenant_id=identity().tenant_id,
        ids={job.params["upload"] for job in found if job.params.get("upload")},
    )
    return {job.id: subject(job.params, filenames=files) for job in found}


def _who_acted(connection: Connection, found: incidents.Incident) -> dict[str, str]:
    """Return the names of the keys that acted on an incident, by their ids."""
    said = incidents.history(
        connection,
        tenant_id=identity().tenant_id,
        incident_id=found.id,
        before=None,
        limit=_SHOWN_ENTRIES,
    )
    acted = {found.acknowledged_by, *(one.key_id for one in said)}
    return keys.names(
        connection,
        tenant_id=identity().tenant_id,
        ids=[key_id for key_id in acted if key_id],
    )


def _drawable(job: Job, result: dict[str, Any] | None) -> list[str]:
    """Return the names of the series that have a picture."""
    if result is None or job.type not in ("forecast.run", "analysis.run"):
        return []
    return [item["unique_id"] for item in result["series"]]
