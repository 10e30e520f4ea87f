"""A door for clients of Azure AI Anomaly Detector: its univariate calls, v1.1.

Behind it is the job ``analysis.run``, held until it ends: the same queue, quotas and
workers as for everybody else.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson
from apiflask import APIBlueprint
from flask import Response
from pydantic import BaseModel, ValidationError

from db import jobs
from tasks import submit
from tasks.errors import InvalidParams, QuotaExceeded
from tasks.submission import Submission
from web import anomalydetector as azure
from web.door import door, identity
from web.errors import Forbidden, Malformed, TooManyRequests, Unauthenticated
from web.representation import json_response
from web.requests import json_body, trace_context
from web.routes.jobs import awaited
from web.schemas.anomalydetector import ChangePointIn, DetectIn

bp = APIBlueprint(
    "anomalydetector",
    __name__,
    url_prefix="/compat/anomalydetector/v1.1/timeseries",
    enable_openapi=False,
)

_PATIENCE_S = 50
_FIRST = 8
"""The priority of a job whose caller holds the line."""
_CODES: Mapping[str, str] = {
    "series": "InvalidSeries",
    "granularity": "InvalidGranularity",
    "customInterval": "InvalidCustomInterval",
    "period": "InvalidPeriod",
    "imputeMode": "InvalidImputeMode",
    "imputeFixedValue": "InvalidImputeFixedValue",
    "maxAnomalyRatio": "InvalidModelArgument",
    "sensitivity": "InvalidModelArgument",
    "stableTrendWindow": "InvalidModelArgument",
    "threshold": "InvalidModelArgument",
}
Body = TypeVar("Body", bound=BaseModel)


class Failure(Exception):
    """A call that Azure would answer with an error code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@bp.post("/entire/detect")
def detect_entire() -> Response:
    """Judge every point of a series."""
    body = _read(DetectIn)
    return json_response(azure.entire(body, _found(azure.wanted, body, mode="batch")))


@bp.post("/last/detect")
def detect_last() -> Response:
    """Judge the newest point by those before it."""
    body = _read(DetectIn)
    return json_response(azure.last(body, _found(azure.wanted, body, mode="latest")))


@bp.post("/changepoint/detect")
def detect_change_points() -> Response:
    """Find where something begins that lasts."""
    body = _read(ChangePointIn)
    return json_response(azure.changes(body, _found(azure.changes_wanted, body)))


@bp.errorhandler(Failure)
def failed(error: Failure) -> Response:
    """Answer as Azure does: a code that programs know, and words for people."""
    body = {"code": error.code, "message": str(error)}
    answer = json_response(body, error.status)
    answer.headers["x-ms-error-code"] = error.code
    if error.status in (429, 503):
        answer.headers["Retry-After"] = "2"
    return answer


@bp.errorhandler(Unauthenticated)
@bp.errorhandler(Forbidden)
@bp.errorhandler(Malformed)
@bp.errorhandler(QuotaExceeded)
@bp.errorhandler(TooManyRequests)
def refused(error: Exception) -> Response:
    """Tell what the door refuses before the call begins."""
    status, code = {
        Unauthenticated: (401, "Unauthorized"),
        Forbidden: (403, "Forbidden"),
        Malformed: (400, "InvalidJsonFormat"),
    }.get(type(error), (429, "TooManyRequests"))
    told = str(error) or "send the API key as Ocp-Apim-Subscription-Key"
    return failed(Failure(status, code, told))


def _read(model: type[Body]) -> Body:
    given = json_body()
    if not isinstance(given, dict):
        raise Failure(400, "InvalidJsonFormat", "the body is no JSON object")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        code = _CODES.get(field, "BadArgument")
        if first["type"] == "missing" and len(first["loc"]) == 1:
            code = f"Required{field.capitalize()}"
        where = ".".join(str(part) for part in first["loc"])
        raise Failure(400, code, f"{where}: {first['msg']}") from error


def _found(
    wanted: Callable[..., dict[str, Any]], body: BaseModel, **more: str
) -> Mapping[str, Any]:
    """Run the job, and return what it found of the one series.

    Raises:
        Failure: the series is refused, or nobody has worked on it in time.
    """
    try:
        params = wanted(body, **more)
        job = _ended(params)
    except azure.BadSeries as error:
        raise Failure(400, "InvalidSeries", str(error)) from error
    except InvalidParams as error:
        raise Failure(400, "BadArgument", error.detail) from error
    if job.state == "succeeded":
        with door().database.tenant(job.tenant_id) as connection:
            text = jobs.result(connection, tenant_id=job.tenant_id, job_id=job.id)
        found = orjson.loads(text or "{}")
        series: list[dict[str, Any]] = found.get("series", [])
        if series:
            return series[0]
    if job.reason == "invalid_data" or job.state == "succeeded":
        detail = (job.error or {}).get("detail") or "the series cannot be analysed"
        raise Failure(400, "InvalidSeries", detail)
    raise Failure(503, "ServiceUnavailable", f"{job.id} has not ended well: try again")


def _ended(params: dict[str, Any]) -> jobs.Job:
    tenant_id = identity().tenant_id
    wanted = Submission(
        type="analysis.run",
        params=params,
        labels={"door": "anomalydetector"},
        priority=_FIRST,
        traceparent=trace_context(),
        # Nobody is there any more for an answer that comes later.
        deadline=datetime.now(UTC) + timedelta(seconds=_PATIENCE_S),
    )
    with door().database.tenant(tenant_id) as connection:
        job, _ = submit.submit(
            connection, tenant_id=tenant_id, submission=wanted, once=None
        )
    return awaited(job, _PATIENCE_S, until_end=True)
