"""Completes the OpenAPI document with what the routes alone cannot say."""

from typing import Any

from pydantic import BaseModel

from tasks.catalog import job_types
from web.schemas.jobs import Problem

_PREFIX = "#/components/schemas/"
_answers: dict[str, type[BaseModel]] = {"Problem": Problem}


def answers(status: int, description: str, model: type[BaseModel]) -> dict[int, Any]:
    """Describe the body of a successful answer, for APIFlask's ``doc``."""
    _answers[model.__name__] = model
    schema = {"$ref": _PREFIX + model.__name__}
    content = {"application/json": {"schema": schema}}
    return {status: {"description": description, "content": content}}


def complete(spec: dict[str, Any]) -> dict[str, Any]:
    """Add security, problem documents, answers and the params of each job type."""
    schemas = spec.setdefault("components", {}).setdefault("schemas", {})
    models = [*_answers.values(), *(kind.params for kind in job_types().values())]
    for model in models:
        _register(schemas, model)
    problem = {"schema": {"$ref": _PREFIX + "Problem"}}
    for path, methods in spec["paths"].items():
        for operation in methods.values():
            operation["responses"]["default"] = {
                "description": "A problem document (RFC 9457)",
                "content": {"application/problem+json": problem},
            }
            if path.startswith("/v1/"):
                operation["security"] = [{"key": []}]
    return spec


def _register(schemas: dict[str, Any], model: type[BaseModel]) -> None:
    template = f"{_PREFIX}{model.__name__}.{{model}}"
    schema = model.model_json_schema(by_alias=True, ref_template=template)
    for name, nested in schema.pop("$defs", {}).items():
        schemas[f"{model.__name__}.{name}"] = nested
    schemas[model.__name__] = schema
