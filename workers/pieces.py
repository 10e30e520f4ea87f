"""The jobs that a split makes: its parts, and the finish that waits for them."""

from collections.abc import Sequence
from typing import Any

from db.ids import new_id
from db.jobs import Job, NewJob
from tasks.catalog import JobType, Params


def children(
    job: Job, kind: JobType, planned: Sequence[Params]
) -> tuple[list[NewJob], NewJob]:
    """Return the parts of a job and its finish, as jobs to submit.

    They inherit what decides about their turn; the deadline to start by was the
    whole job's and is met.
    """
    share = kind.parts.share(planned[0]) if kind.parts and planned else None
    key, limit = share or (None, None)
    keyed = {"concurrency_key": key, "concurrency_limit": limit}
    pieces = [
        _child(job, kind, params, step="part", part=number, **keyed)
        for number, params in enumerate(planned)
    ]
    return pieces, _child(job, kind, job.params, step="finish", blocked=True)


def _child(job: Job, kind: JobType, params: Any, **more: Any) -> NewJob:
    if isinstance(params, Params):
        params = params.model_dump(mode="json", by_alias=True)
    return NewJob(
        id=new_id("job"),
        type=job.type,
        queue=kind.queue,
        params=params,
        labels=job.labels,
        priority=job.priority,
        timeout_s=job.timeout_s,
        max_attempts=job.max_attempts,
        traceparent=job.traceparent,
        lane=job.lane,
        retry=job.retry,
        parent_id=job.id,
        **more,
    )
