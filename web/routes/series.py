"""Series and their observations, forecasts and anomalies."""

import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from db import analyses, forecasts, series
from db.series import SeriesExtent
from tasks.errors import FieldError, InvalidParams, NotFound
from tasks.ingest import CONTENT_TYPES
from tasks.inputs import KEY_PATTERN
from tasks.observations import load_observations
from web import formats
from web.door import door, identity
from web.errors import Malformed, WrongMediaType
from web.openapi import answers
from web.representation import json_response
from web.requests import next_link, whole_number
from web.schemas.jobs import Page
from web.schemas.series import (
    AnomalyList,
    ForecastList,
    ForecastQuery,
    LoadOut,
    SeriesBody,
    SeriesList,
    SeriesOut,
    SeriesQuery,
)

bp = APIBlueprint("series", __name__, url_prefix="/v1/series", tag="Series")

_NULLABLE = ("unit", "frequency")


@bp.get("")
@bp.input(SeriesQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, by key", SeriesList))
def list_series(query: SeriesQuery) -> Response:
    """List the tenant's series."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = series.page(
            connection,
            tenant_id=tenant_id,
            limit=query.limit + 1,
            after=query.cursor,
            tag=query.tag,
            q=query.q,
        )
    shown = found[: query.limit]
    cursor = shown[-1].key if len(found) > query.limit else None
    body = {"items": [_series_json(item) for item in shown], "next_cursor": cursor}
    return next_link(json_response(body), cursor)


@bp.put("/<key>")
@bp.input(SeriesBody, arg_name="body")
@bp.doc(responses=answers(200, "The series", SeriesOut))
def put_series(key: str, body: SeriesBody) -> Response:
    """Create a series, or change the given fields of it."""
    tenant_id = identity().tenant_id
    given = {
        name: value
        for name, value in body.model_dump(exclude_unset=True).items()
        if value is not None or name in _NULLABLE
    }
    with door().database.tenant(tenant_id) as connection:
        series.upsert(
            connection,
            tenant_id=tenant_id,
            key=_valid(key),
            fields=given,
            now=datetime.now(UTC),
        )
        found = series.extent(connection, tenant_id=tenant_id, key=key)
    return json_response(_series_json(_there(found, key)))


@bp.get("/<key>")
@bp.doc(responses=answers(200, "The series", SeriesOut))
def get_series(key: str) -> Response:
    """Show a series with its first and last observation, count and freshness."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = series.extent(connection, tenant_id=tenant_id, key=key)
    return json_response(_series_json(_there(found, key)))


@bp.post("/<key>/observations")
@bp.doc(responses=answers(200, "What became of each row", LoadOut))
def post_observations(key: str) -> Response:
    """Store observations at once: JSON, CSV, NDJSON, Arrow stream or Parquet."""
    tenant_id, packing = identity().tenant_id, _packing()
    if request.mimetype not in ("", formats.JSON, *CONTENT_TYPES):
        known = ", ".join((formats.JSON, *CONTENT_TYPES))
        raise WrongMediaType(f"observations come as one of {known}")
    with _readable():
        # Before a connection is taken: a slow sender must not hold one.
        body = io.BytesIO(request.stream.read())
    with door().database.tenant(tenant_id) as connection, _readable():
        result = load_observations(
            connection,
            tenant_id=tenant_id,
            series_key=_valid(key),
            body=body,
            content_type=request.mimetype,
            gzipped=packing == "gzip",
            now=datetime.now(UTC),
        )
    return json_response(result)


@bp.get("/<key>/forecasts")
@bp.input(ForecastQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "The newest first", ForecastList))
def get_forecasts(key: str, query: ForecastQuery) -> Response:
    """Show what forecast jobs stored for a series, the newest first."""
    found, tenant_id = find_series(key), identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        stored = forecasts.of_series(
            connection,
            tenant_id=tenant_id,
            series_id=found.id,
            as_of=query.as_of,
            limit=query.limit,
        )
    items = [_forecast_json(key, forecast) for forecast in stored]
    return json_response({"items": items, "next_cursor": None})


@bp.get("/<key>/anomalies")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, the newest find first", AnomalyList))
def get_anomalies(key: str, query: Page) -> Response:
    """Show what analysis jobs found in a series, the newest find first."""
    found, tenant_id = find_series(key), identity().tenant_id
    before = whole_number(query.cursor, name="cursor") if query.cursor else None
    with door().database.tenant(tenant_id) as connection:
        stored = analyses.of_series(
            connection,
            tenant_id=tenant_id,
            series_id=found.id,
            before=before,
            limit=query.limit + 1,
        )
    shown = stored[: query.limit]
    cursor = str(shown[-1]["id"]) if len(stored) > query.limit else None
    body = {"items": [_anomaly_json(row) for row in shown], "next_cursor": cursor}
    return next_link(json_response(body), cursor)


def _packing() -> str:
    packing = request.headers.get("Content-Encoding", "identity").lower()
    if packing not in ("gzip", "identity"):
        raise WrongMediaType(f"a body may be packed with gzip, not with {packing}")
    return packing


@contextmanager
def _readable() -> Iterator[None]:
    """Tell a body that is no JSON, or no whole gzip, from one with bad values."""
    try:
        yield
    except InvalidParams as error:
        if isinstance(error.__cause__, ValueError | EOFError | OSError | zlib.error):
            raise Malformed(str(error)) from error
        raise


def find_series(key: str) -> SeriesExtent:
    """Return a series of the tenant.

    Raises:
        NotFound: it has none of this key.
    """
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        return _there(series.extent(connection, tenant_id=tenant_id, key=key), key)


def _there(found: SeriesExtent | None, key: str) -> SeriesExtent:
    if found is None:
        raise NotFound(f"no series {key}")
    return found


def _valid(key: str) -> str:
    if not re.fullmatch(KEY_PATTERN, key):
        detail = f"a key matches {KEY_PATTERN}"
        raise InvalidParams(detail, (FieldError("/key", detail),))
    return key


def _series_json(item: SeriesExtent) -> dict[str, Any]:
    age = None
    if item.last is not None:
        age = round((datetime.now(UTC) - item.last).total_seconds(), 1)
    shown = {name: value for name, value in vars(item).items() if name != "id"}
    base = f"/v1/series/{item.key}"
    links = {
        name: f"{base}/{name}" for name in ("observations", "forecasts", "anomalies")
    }
    return {**shown, "freshness_s": age, "links": {"self": base, **links}}


def _forecast_json(key: str, row: dict[str, Any]) -> dict[str, Any]:
    names = [str(level) for level in row["quantiles"]]
    return {
        "id": row["id"],
        "unique_id": key,
        "job_id": row["job_id"],
        "cutoff": row["cutoff"],
        "issued_at": row["issued_at"],
        "model": row["model"],
        "points": [
            {"ds": ts, "mean": mean, "q": dict(zip(names, values, strict=True))}
            for ts, mean, values in row["points"]
        ],
        "evaluation": row["evaluation"],
        "warnings": row["warnings"],
    }


def _anomaly_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "analysis_id": row["analysis_id"],
        "start": row["start_at"],
        "end": row["end_at"],
        "kind": row["kind"],
        "severity": row["severity"],
        "score": row["score"],
        "explanation": row["explanation"],
        "evidence": row["evidence"],
    }
