"""Pictures of incidents: what was observed, with the anomalous stretches marked."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from db import incident_cases, incidents, series
from db.incident_cases import Span
from db.incidents import Joined
from db.series import SeriesExtent
from db.session import Connection
from tasks.errors import NotFound
from web import charts
from web.door import door, identity
from web.openapi import Anything, answers
from web.routes.charts import PNG, SVG, picture, stored_pairs

bp = APIBlueprint("incident_charts", __name__, tag="Incident charts")

_MOST_ANOMALIES = 5_000
_STEPS_BEFORE, _STEPS_AFTER = 120, 48
_LONGEST_STEP = timedelta(days=366)


@bp.get("/v1/incidents/<incident_id>/chart")
@bp.doc(responses=answers(200, "The picture", Anything, SVG, PNG))
def get_incident_chart(incident_id: str) -> Response:
    """Draw one series of an incident: that of ``?series=``, else the first."""
    with door().database.tenant(identity().tenant_id) as connection:
        stay = _stay(connection, incident_id, request.args.get("series"))
        spec = _spec(connection, incident_id, stay)
    return picture(spec)


def _stay(connection: Connection, incident_id: str, key: str | None) -> Span:
    found = incident_cases.spans(
        connection, tenant_id=identity().tenant_id, ids=[incident_id]
    )
    for one in found:
        if key in (None, one.unique_id):
            return one
    told = f"no incident {incident_id}"
    raise NotFound(f"no series {key} in {incident_id}" if found else told)


def _spec(connection: Connection, incident_id: str, stay: Span) -> dict[str, Any]:
    tenant_id = identity().tenant_id
    known = series.extent(connection, tenant_id=tenant_id, key=stay.unique_id)
    joined = incidents.anomalies(
        connection,
        tenant_id=tenant_id,
        incident_id=incident_id,
        before=None,
        limit=_MOST_ANOMALIES,
    )
    mine = [one for one in joined if one.unique_id == stay.unique_id]
    start, end = _around(known, stay)
    observed = stored_pairs(connection, series_id=stay.series_id, start=start, end=end)
    return charts.incident_chart(
        stay.unique_id,
        observed=list(islice(observed, charts.MOST_POINTS)),
        stretches=[(one.start_at, one.end_at) for one in mine],
        unit=known.unit if known else None,
        levels=[level for one in mine if (level := _level(one))],
    )


def _level(one: Joined) -> charts.Level | None:
    """Return what was expected, as far as the evidence that is kept says so."""
    expected = _figure(one.evidence.get("expected"))
    if expected is None:
        return None
    # The thresholds of other rules are no values of the series.
    is_bound = one.evidence.get("rule") == "outside_bounds"
    bound = _figure(one.evidence.get("threshold")) if is_bound else None
    return charts.Level(one.start_at, one.end_at, expected, bound)


def _figure(said: Any) -> float | None:
    return float(said) if isinstance(said, int | float) else None


def _around(known: SeriesExtent | None, stay: Span) -> tuple[datetime, datetime]:
    """Return the stretch with so much around it that it can be seen what is usual."""
    length = stay.last_seen_at - stay.start_at
    step = timedelta()
    if known and known.first and known.last:
        # One row of a far year must not make a step of decades.
        step = min((known.last - known.first) / max(known.count - 1, 1), _LONGEST_STEP)
    return (
        stay.start_at - max(length, _STEPS_BEFORE * step),
        stay.last_seen_at + max(length / 2, _STEPS_AFTER * step),
    )
