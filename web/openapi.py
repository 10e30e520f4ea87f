"""Completes the OpenAPI document with what the routes alone cannot say."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, RootModel

from tasks.catalog import job_types
from tasks.ingest import CONTENT_TYPES
from web.schemas.jobs import Problem

_PREFIX = "#/components/schemas/"
_JSON = "application/json"
_answers: dict[str, type[BaseModel]] = {"Problem": Problem}

_HEADERS = {
    "Idempotency-Key": "The same key and body give the same resource for 48 hours.",
    "Prefer": "wait=20 holds the answer until there is news, for at most 60 s.",
    "If-None-Match": "An ETag; answers 304 while nothing has changed.",
    "Last-Event-ID": "Go on after this event.",
    "traceparent": "W3C trace context; stored with the job.",
}
_SUBMITS = ("Idempotency-Key", "Prefer", "traceparent")
_SENT: Mapping[str, tuple[str, ...]] = {
    "post /v1/jobs": _SUBMITS,
    "post /v1/jobs/batch": ("Idempotency-Key", "traceparent"),
    "post /v1/jobs/replay": ("Idempotency-Key",),
    "post /v1/jobs/{job_id}/retry": ("Idempotency-Key",),
    "post /v1/uploads": ("Idempotency-Key",),
    "get /v1/models/{name}/versions/{version}/artifact": ("If-None-Match",),
    "post /v1/models/{name}/promote": ("Idempotency-Key", "traceparent"),
    "post /v1/models/{name}/rollback": ("Idempotency-Key", "traceparent"),
    "post /v1/webhooks": ("Idempotency-Key",),
    "post /v1/sources": ("Idempotency-Key",),
    "post /v1/sources/{name}/test": _SUBMITS,
    "post /v1/sources/{name}/preview": _SUBMITS,
    "post /v1/sources/{name}/run": _SUBMITS,
    "post /v1/sources/{name}/backfill": _SUBMITS,
    "post /v1/sources/{name}/replay": _SUBMITS,
    "post /v1/sources/{name}/quarantine/replay": _SUBMITS,
    "post /v1/incidents/{incident_id}/comments": ("Idempotency-Key",),
    "post /v1/channels": ("Idempotency-Key",),
    "post /v1/alert-rules": ("Idempotency-Key",),
    "post /v1/feedback": ("Idempotency-Key",),
    "post /v1/schedules": ("Idempotency-Key",),
    "post /v1/schedules/{schedule_id}/run": ("Idempotency-Key",),
    "get /v1/events": ("Last-Event-ID",),
    "get /v1/jobs/{job_id}": ("Prefer", "If-None-Match"),
    "get /v1/jobs/{job_id}/events": ("Last-Event-ID",),
}
_ASKED: Mapping[str, Mapping[str, str]] = {
    "post /v1/uploads": {"filename": "A name to find the file again."},
    "get /v1/jobs/{job_id}/events": {"after": "Like Last-Event-ID."},
    "get /v1/events": {"after": "Like Last-Event-ID."},
    "get /v1/incidents/{incident_id}/chart": {
        "series": "Which series; by default the first."
    },
    "get /v1/jobs/{job_id}/chart": {"series": "Which series; by default the first."},
}
_BODIES: Mapping[str, tuple[str, ...]] = {
    "post /v1/uploads": ("application/octet-stream", *CONTENT_TYPES),
    "post /v1/series/{key}/observations": (_JSON, *CONTENT_TYPES),
}


_OPTIONAL_BODIES = (
    "post /v1/sources/{name}/preview",
    "post /v1/sources/{name}/replay",
    "post /v1/sources/{name}/quarantine/replay",
)


class Anything(RootModel[dict[str, Any]]):
    """A JSON object whose form depends on the job's type."""


def answers(
    status: int, description: str, model: type[BaseModel] | None, *forms: str
) -> dict[int, Any]:
    """Describe the body of an answer as JSON and in other forms, for ``doc``."""
    content: dict[str, Any] = {form: {} for form in forms}
    if model is not None:
        _answers[model.__name__] = model
        content[_JSON] = {"schema": {"$ref": _PREFIX + model.__name__}}
    return {status: {"description": description, "content": content}}


def complete(spec: dict[str, Any]) -> dict[str, Any]:
    """Add security, problem documents, headers, and the params of each job type."""
    schemas = spec.setdefault("components", {}).setdefault("schemas", {})
    models = [*_answers.values(), *(kind.params for kind in job_types().values())]
    for model in models:
        _register(schemas, model)
    problem = {"schema": {"$ref": _PREFIX + "Problem"}}
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            operation["responses"]["default"] = {
                "description": "A problem document (RFC 9457)",
                "content": {"application/problem+json": problem},
            }
            operation["security"] = [{"key": []}] if path.startswith("/v1/") else []
            _complete_input(operation, f"{method} {path}")
            # The reader of /docs sets a summary as plain text.
            operation["summary"] = operation["summary"].replace("``", "")
    _unquote(spec)
    return spec


def _unquote(node: Any) -> None:
    """Make Markdown of what docstrings quote as reStructuredText does."""
    if isinstance(node, list):
        for item in node:
            _unquote(item)
    elif isinstance(node, dict):
        for name, item in node.items():
            if name == "description" and isinstance(item, str):
                node[name] = item.replace("``", "`")
            else:
                _unquote(item)


def _complete_input(operation: dict[str, Any], call: str) -> None:
    parameters = [*operation.get("parameters", []), *_parameters(call)]
    if parameters:
        operation["parameters"] = parameters
    if call in _BODIES:
        content: dict[str, Any] = {form: {} for form in _BODIES[call]}
        operation["requestBody"] = {"required": True, "content": content}
    if call in _OPTIONAL_BODIES:
        operation["requestBody"]["required"] = False


def _parameters(call: str) -> Iterator[dict[str, Any]]:
    headers = {name: _HEADERS[name] for name in _SENT.get(call, ())}
    for place, named in (("header", headers), ("query", _ASKED.get(call, {}))):
        for name, text in named.items():
            yield {
                "name": name,
                "in": place,
                "required": False,
                "description": text,
                "schema": {"type": "string"},
            }


def _register(schemas: dict[str, Any], model: type[BaseModel]) -> None:
    template = f"{_PREFIX}{model.__name__}.{{model}}"
    schema = model.model_json_schema(by_alias=True, ref_template=template)
    for name, nested in schema.pop("$defs", {}).items():
        schemas[f"{model.__name__}.{name}"] = nested
    schemas[model.__name__] = schema
