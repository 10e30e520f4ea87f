"""Ended jobs again: one by its id, or many by a filter, at a pace, on the record."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from db import audit, jobs, replays
from db.jobs import Job, JobFilter, NewJob
from db.replays import Wait
from db.session import Connection
from tasks import submit
from tasks.errors import InvalidParams, StateConflict
from tasks.submission import Submission

MOST_AT_ONCE = 1_000


@dataclass(frozen=True)
class Replay:
    """What a bulk replay did; more jobs match where there is a ``next_cursor``."""

    replayed: list[tuple[str, str]]
    refused: list[tuple[str, str]]
    next_cursor: str | None


def submission_of(job: Job) -> Submission:
    """Return the request that would make the same job again, without waiting."""
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
    )


def retry(
    connection: Connection, *, tenant_id: int, job_id: str, key_id: str | None = None
) -> Job:
    """Submit a failed or cancelled job again, linked to the first of its chain.

    It waits for no other job, whatever the first one waited for.

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
    cursor: str | None = None,
) -> Replay:
    """Submit again the jobs a filter finds that were not replayed yet.

    The newest are taken first and the oldest of those start first. A copy waits for
    the copies of what its job waited for. Who walks on from the newest to the oldest
    comes to an end, though copies may fail meanwhile.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose jobs.
        wanted: which ones; only failed and cancelled ones are taken.
        pace: how many at most, and how many may start in a minute (None: at once).
        key_id: who asked; for the audit.
        cursor: the ``next_cursor`` of the replay before.

    Raises:
        QuotaExceeded: the tenant may not queue so many jobs.
    """
    most, per_minute = pace
    found = _found(connection, tenant_id, wanted, cursor, most + 1)
    looked_at = found[:most]
    # Who holds a job first replays it; another replay at the same time waits here.
    mine = replays.hold(
        connection, tenant_id=tenant_id, job_ids=[job.id for job in looked_at]
    )
    waits = replays.waits(connection, tenant_id=tenant_id, job_ids=mine)
    copies, refused = _copies([job for job in looked_at if job.id in mine], waits)
    gap_s = 60.0 / per_minute if per_minute else 0.0
    prepared = _bound(copies, waits, gap_s)
    pairs = [(job.id, new.id) for job, new in copies]
    if pairs:
        jobs.mark_replayed(
            connection, tenant_id=tenant_id, job_ids=[job.id for job, _ in copies]
        )
        submit.store(connection, tenant_id=tenant_id, prepared=prepared)
        _note(connection, tenant_id, key_id, pairs)
    return Replay(pairs, refused, looked_at[-1].id if len(found) > most else None)


def _found(
    connection: Connection,
    tenant_id: int,
    wanted: JobFilter,
    cursor: str | None,
    limit: int,
) -> list[Job]:
    states = [one for one in wanted.states if one in ("failed", "cancelled")]
    only = replace(wanted, states=states or ["failed"], replayed=False)
    return jobs.page(
        connection, tenant_id=tenant_id, wanted=only, before=cursor, limit=limit
    )


def _copies(
    chosen: Sequence[Job], waits: Sequence[Wait]
) -> tuple[list[tuple[Job, NewJob]], list[tuple[str, str]]]:
    """Return the jobs with their copies, and why the others can have none."""
    # Made from the oldest on, so that the ids of the copies are in that order too.
    good: dict[str, tuple[Job, NewJob]] = {}
    why: dict[str, str] = {}
    for job in reversed(chosen):
        try:
            good[job.id] = (job, submit.prepare(submission_of(job)))
        except InvalidParams as error:
            why[job.id] = error.detail
    many = -1
    while many != len(good):
        many = len(good)
        for wait in waits:
            if wait.lost and wait.job_id in good and wait.after_id not in good:
                del good[wait.job_id]
                why[wait.job_id] = (
                    f"it waited for {wait.after_id}, which is {wait.state} and is not "
                    "replayed in this call; replay that job too"
                )
    refused = [(job.id, why[job.id]) for job in chosen if job.id in why]
    return [good[job.id] for job in chosen if job.id in good], refused


def _bound(
    copies: Sequence[tuple[Job, NewJob]], waits: Sequence[Wait], gap_s: float
) -> list[tuple[NewJob, Submission]]:
    """Return what to store, the oldest first, each with what it waits for."""
    again = {job.id: new.id for job, new in copies}
    after: dict[str, list[str]] = {job_id: [] for job_id in again}
    on_failure = {wait.job_id: wait.on_failure for wait in waits}
    for wait in waits:
        if wait.job_id in again and (wait.after_id in again or wait.unended):
            after[wait.job_id].append(again.get(wait.after_id, wait.after_id))
    prepared = []
    for number, (job, new) in enumerate(reversed(copies)):
        delay_s = number * gap_s
        submission = replace(
            submission_of(job),
            after=after[job.id],
            on_failure=on_failure.get(job.id, "cancel"),
            delay_s=delay_s,
        )
        blocked = bool(after[job.id])
        prepared.append((replace(new, blocked=blocked, delay_s=delay_s), submission))
    return prepared


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
