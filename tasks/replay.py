"""Ended jobs again: one by its id, or many by a filter, at a pace, on the record."""

from dataclasses import dataclass, replace

from db import audit, jobs
from db.jobs import Job, JobFilter, NewJob
from db.session import Connection
from tasks import submit
from tasks.errors import InvalidParams, StateConflict
from tasks.submission import Submission

MOST_AT_ONCE = 1_000


@dataclass(frozen=True)
class Replay:
    """What a bulk replay did; ``left`` tells that more jobs match."""

    replayed: list[tuple[str, str]]
    refused: list[tuple[str, str]]
    left: bool


def submission_of(job: Job, *, delay_s: float = 0.0) -> Submission:
    """Return the request that would make the same job again."""
    return Submission(
        type=job.type,
        params=job.params,
        labels=job.labels,
        priority=job.priority,
        timeout_s=job.timeout_s,
        traceparent=job.traceparent,
        retry_of=job.retry_of or job.id,
        lane=job.lane,
        max_attempts=job.max_attempts,
        retry=job.retry,
        concurrency_key=job.concurrency_key,
        concurrency_limit=job.concurrency_limit or 1,
        starts_per_minute=job.starts_per_minute,
        delay_s=delay_s,
    )


def retry(
    connection: Connection, *, tenant_id: int, job_id: str, key_id: str | None = None
) -> Job:
    """Submit a failed or cancelled job again, linked to the first of its chain.

    Raises:
        NotFound: no such job in this tenant.
        StateConflict: the job has not failed and was not cancelled, or is a part.
    """
    job = submit.find(connection, tenant_id=tenant_id, job_id=job_id)
    if job.state not in ("failed", "cancelled"):
        raise StateConflict(
            f"only failed or cancelled jobs can be retried; {job_id} is {job.state}"
        )
    if job.parent_id is not None:
        raise StateConflict(f"{job_id} is a part: retry the whole job {job.parent_id}")
    again = submission_of(job)
    new = submit.prepare(again)
    submit.store(connection, tenant_id=tenant_id, prepared=[(new, again)])
    jobs.mark_replayed(connection, tenant_id=tenant_id, job_ids=[job.id], again=True)
    _note(connection, tenant_id, key_id, [(job.id, new.id)])
    return submit.find(connection, tenant_id=tenant_id, job_id=new.id)


def replay(
    connection: Connection,
    *,
    tenant_id: int,
    wanted: JobFilter,
    pace: tuple[int, int | None],
    key_id: str | None,
) -> Replay:
    """Submit again the jobs a filter finds that were not replayed yet, oldest last.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose jobs.
        wanted: which ones; only failed and cancelled ones are taken.
        pace: how many at most, and how many may start in a minute (None: at once).
        key_id: who asked; for the audit.

    Raises:
        QuotaExceeded: the tenant may not queue so many jobs.
    """
    most, per_minute = pace
    states = [one for one in wanted.states if one in ("failed", "cancelled")]
    only = replace(wanted, states=states or ["failed"], replayed=False)
    found = jobs.page(
        connection, tenant_id=tenant_id, wanted=only, before=None, limit=most + 1
    )
    gap_s = 60.0 / per_minute if per_minute else 0.0
    prepared: list[tuple[Job, NewJob, Submission]] = []
    refused: list[tuple[str, str]] = []
    for job in found[:most]:
        again = submission_of(job, delay_s=len(prepared) * gap_s)
        try:
            prepared.append((job, submit.prepare(again), again))
        except InvalidParams as error:
            refused.append((job.id, error.detail))
    # Who marks a job first replays it; another replay at the same time waits here.
    mine = jobs.mark_replayed(
        connection, tenant_id=tenant_id, job_ids=[job.id for job, _, _ in prepared]
    )
    prepared = [one for one in prepared if one[0].id in mine]
    if prepared:
        submit.store(
            connection,
            tenant_id=tenant_id,
            prepared=[(new, again) for _, new, again in prepared],
        )
    pairs = [(job.id, new.id) for job, new, _ in prepared]
    if pairs:
        _note(connection, tenant_id, key_id, pairs)
    return Replay(pairs, refused, left=len(found) > most)


def _note(
    connection: Connection,
    tenant_id: int,
    key_id: str | None,
    pairs: list[tuple[str, str]],
) -> None:
    audit.record(
        connection,
        tenant_id=tenant_id,
        key_id=key_id,
        action="jobs.replay",
        target=pairs[0][0] if len(pairs) == 1 else None,
        detail={"jobs": [list(pair) for pair in pairs]},
    )
