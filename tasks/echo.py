"""``system.echo``: the smallest job, for tests, benches and a first try."""

import time
from typing import Any

from pydantic import Field

from tasks.catalog import Limits, Params, job_type
from tasks.context import JobContext, Outcome

_STEP_S = 0.1


class EchoParams(Params):
    """What to send back, and how long to take over it."""

    payload: dict[str, Any] = Field(
        default_factory=dict, description="Any JSON object; it is the result."
    )
    duration_s: float = Field(
        default=0,
        ge=0,
        le=3_600,
        description="Seconds to take, to watch progress or to try a cancel.",
    )


@job_type("system.echo", params=EchoParams, queue="system", limits=Limits(3_600))
def echo(params: EchoParams, context: JobContext) -> Outcome:
    """Return the payload as it came, after the seconds that were asked for."""
    steps = round(params.duration_s / _STEP_S)
    for step in range(steps):
        context.progress(step, steps, "steps", "waiting as asked")
        time.sleep(_STEP_S)
    return Outcome({"payload": params.payload})
