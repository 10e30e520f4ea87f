"""``system.echo``: the smallest job, for tests, benches and a first try."""

from typing import Any

from pydantic import Field

from tasks.catalog import Params, job_type
from tasks.context import JobContext, Outcome


class EchoParams(Params):
    """What to send back."""

    payload: dict[str, Any] = Field(
        default_factory=dict, description="Any JSON object; it is the result."
    )


@job_type("system.echo", params=EchoParams, queue="system", timeout_s=60)
def echo(params: EchoParams, context: JobContext) -> Outcome:
    """Return the payload as it came."""
    del context
    return Outcome({"payload": params.payload})
