"""Pictures of results: Vega-Lite by default, SVG or PNG where Accept asks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
from apiflask import APIBlueprint
from flask import Response, request

from db import jobs, observations, series
from db.jobs import Job
from db.session import Connection
from tasks import submit
from tasks.errors import NotFound, StateConflict
from web import charts
from web.door import door, identity
from web.formats import JSON, wanted_format
from web.guard import open_to_all
from web.openapi import Anything, answers
from web.representation import json_response

bp = APIBlueprint("charts", __name__, tag="Charts")

SVG, PNG = "image/svg+xml", "image/png"
_WIDTH = 800
_HISTORY_HORIZONS = 6
_LEAST_HISTORY = timedelta(days=7)


@bp.get("/v1/jobs/<job_id>/chart")
@bp.doc(responses=answers(200, "The picture", Anything, SVG, PNG))
def get_chart(job_id: str) -> Response:
    """Draw one series of a result: that of ``?series=``, else the most eventful."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        job = submit.find(connection, tenant_id=tenant_id, job_id=job_id)
        text = jobs.result(connection, tenant_id=tenant_id, job_id=job_id)
    if text is None:
        raise StateConflict(f"{job_id} is {job.state}: there is no result to draw")
    return picture(_spec(job, orjson.loads(text), request.args.get("series")))


def picture(spec: dict[str, Any]) -> Response:
    """Return a specification, or drawn as SVG or PNG where Accept asks."""
    form = wanted_format(JSON, SVG, PNG)
    if form == JSON:
        return json_response(spec)
    return Response(_drawn(spec, form), mimetype=form)


@bp.get("/assets/vega.js")
@bp.doc(hide=True)
@open_to_all
def vega_script() -> Response:
    """Serve the Vega bundle that the wheel of vl-convert ships."""
    answer = Response(_bundle(), mimetype="text/javascript")
    answer.headers["Cache-Control"] = "public, max-age=86400"
    return answer


@lru_cache(maxsize=1)
def _bundle() -> str:
    import vl_convert  # noqa: PLC0415 - starts a script engine; only for pictures

    script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg] # its stub forgets the default
    return script


def _drawn(spec: dict[str, Any], form: str) -> str | bytes:
    import vl_convert  # noqa: PLC0415 - starts a script engine; only for pictures

    fixed = {**spec, "width": _WIDTH}
    if form == SVG:
        picture: str = vl_convert.vegalite_to_svg(fixed)
        return picture
    image: bytes = vl_convert.vegalite_to_png(fixed, scale=2)
    return image


def _spec(job: Job, result: dict[str, Any], name: str | None) -> dict[str, Any]:
    items = result.get("series")
    if job.type not in ("forecast.run", "analysis.run") or not items:
        raise NotFound(f"there is no picture of a {job.type} result")
    found = [item for item in items if name in (None, item["unique_id"])]
    if not found:
        raise NotFound(f"no series {name} in this result")
    # Where nobody names a series, the one with most to see.
    found.sort(key=lambda item: -len(item.get("anomalies", ())))
    unit = _unit(job, found[0]["unique_id"])
    if job.type == "analysis.run":
        return charts.analysis_chart(found[0], unit=unit)
    observed = _observed(job, found[0])
    return charts.forecast_chart(found[0], observed=observed, unit=unit)


def _unit(job: Job, key: str) -> str | None:
    if job.params.get("data") is not None:
        return None
    with door().database.tenant(job.tenant_id) as connection:
        found = series.find(connection, tenant_id=job.tenant_id, key=key)
    return found.unit if found else None


def _observed(job: Job, item: dict[str, Any]) -> list[tuple[str, float | None]]:
    """Return the stretch before the forecast: some horizons, at least a week."""
    cutoff = datetime.fromisoformat(item["cutoff"])
    reach = datetime.fromisoformat(item["points"][-1]["ds"]) - cutoff
    start = cutoff - max(_HISTORY_HORIZONS * reach, _LEAST_HISTORY)
    if (rows := job.params.get("data")) is not None:
        return [
            (row["ds"], row["y"])
            for row in rows
            if row["unique_id"] == item["unique_id"]
            and datetime.fromisoformat(row["ds"]) >= start
        ][-charts.MOST_POINTS :]
    with door().database.tenant(job.tenant_id) as connection:
        found = series.find(connection, tenant_id=job.tenant_id, key=item["unique_id"])
        if found is None:
            return []
        pairs = stored_pairs(
            connection,
            series_id=found.id,
            start=start,
            end=cutoff + timedelta(microseconds=1),
        )
        return list(pairs)[-charts.MOST_POINTS :]


def stored_pairs(
    connection: Connection, *, series_id: int, start: datetime, end: datetime
) -> Iterator[tuple[str, float | None]]:
    """Yield the observations of a half-open stretch as pictures take them."""
    batches = observations.stream(
        connection, series_id=series_id, start=start, end=end, as_of=None
    )
    for batch in batches:
        yield from zip(
            (ts.isoformat() for ts in batch.column("ts").to_pylist()),
            batch.column("value").to_pylist(),
            strict=True,
        )
