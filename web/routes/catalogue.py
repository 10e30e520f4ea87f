"""What kinds of jobs there are."""

from apiflask import APIBlueprint
from flask import Response

from tasks.catalog import job_types
from web.guard import open_to_all
from web.openapi import answers
from web.representation import json_response
from web.schemas.catalogue import JobTypeList

bp = APIBlueprint("catalogue", __name__, tag="Job types")


@bp.get("/v1/job-types")
@bp.doc(responses=answers(200, "All job types", JobTypeList))
def list_job_types() -> Response:
    """List the job types with the JSON Schema of their params and their limits."""
    return json_response(
        {
            "items": [
                {
                    "type": kind.name,
                    "summary": kind.summary,
                    "queue": kind.queue,
                    "timeout_s": kind.timeout_s,
                    "max_attempts": kind.max_attempts,
                    "params": kind.params.model_json_schema(by_alias=True),
                }
                for kind in job_types().values()
            ],
            "next_cursor": None,
        }
    )


@bp.get("/problems/<name>")
@bp.doc(hide=True)
@open_to_all
def explain_problem(name: str) -> Response:
    """Point from a problem's type to where it is explained."""
    return Response(
        f"{name}: see docs/reference/problems.md of Forebay\n", mimetype="text/plain"
    )
