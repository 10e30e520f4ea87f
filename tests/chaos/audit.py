"""The audit: what must hold when a platform that met faults has come to rest.

Each check looks at rows only, so that a test can plant a fault for it to find.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.chaos.events_audit import feed_agrees, in_order, streams_agree
from tests.chaos.facts import Facts, Row
from tests.chaos.order_audit import chains_kept, keys_kept, parts_whole
from tests.chaos.submissions import HORIZON, upload_key, upload_rows

FINAL = ("succeeded", "failed", "cancelled")
_REASONS = {
    "succeeded": {None},
    "failed": {"worker_lost", "never_started", "dependency_failed", "part_failed"},
    "cancelled": {"cancelled_by_user", "dependency_failed"},
}


@dataclass(frozen=True)
class Finding:
    """Something that must not be, by the check that found it."""

    check: str
    detail: str


def _accounted_for(facts: Facts) -> Iterator[str]:
    """Every accepted job is there once, and there is no job nobody asked for."""
    jobs = facts.jobs()
    for number, job_id in facts.told.jobs.items():
        if job_id not in jobs:
            yield f"{job_id}, accepted as number {number}, is gone"
    whole = {key: row for key, row in jobs.items() if row.get("parent_id") is None}
    copies = Counter(row["labels"].get("chaos") for row in whole.values())
    for number, count in copies.items():
        if number is not None and count > 1:
            yield f"number {number} became {count} jobs"
    accepted = set(facts.told.jobs.values())
    fired = set(_fired(facts))
    for job_id in whole:
        if job_id not in accepted and job_id not in fired:
            yield f"{job_id} was neither accepted nor fired by a schedule"


def _fired(facts: Facts) -> list[str]:
    """Return the jobs of all firings; a firing may have several, or none."""
    return [
        job_id
        for row in facts.rows("schedule_firings")
        for job_id in (row.get("job_ids") or [row["job_id"]])
        if job_id is not None
    ]


def _promises_kept(facts: Facts) -> Iterator[str]:
    """No answer was unforeseen, and what an answer said came true."""
    yield from facts.told.broken_promises
    jobs = facts.jobs()
    for job_id in facts.told.cancelled:
        if job_id in jobs and jobs[job_id]["state"] != "cancelled":
            yield f"{job_id} was told to be cancelled and is {jobs[job_id]['state']}"


def _ended(facts: Facts) -> Iterator[str]:
    """Every job is in an end state, for a reason that belongs to it."""
    for row in facts.rows("jobs"):
        if row["state"] not in FINAL:
            yield f"{row['id']} ({row['type']}) is still {row['state']}"
        elif row["reason"] not in _REASONS[row["state"]]:
            yield f"{row['id']} has {row['state']} with reason {row['reason']}"
        elif row["finished_at"] is None:
            yield f"{row['id']} has {row['state']} at no time"
        elif row["reason"] == "never_started" and row["deadline"] is None:
            yield f"{row['id']} missed a deadline it does not have"
        elif (
            row["reason"] == "cancelled_by_user" and row["cancel_requested_at"] is None
        ):
            yield f"{row['id']} was cancelled by nobody"


def _one_result(facts: Facts) -> Iterator[str]:
    """A succeeded job has one result, of its latest attempt; any other has none."""
    results = facts.by_job(facts.rows("job_results"))
    for row in facts.rows("jobs"):
        found = results[row["id"]]
        if len(found) != (row["state"] == "succeeded"):
            yield f"{row['id']} has {row['state']} with {len(found)} results"
        elif found and found[0]["attempt"] != row["attempt"]:
            yield f"{row['id']} has the result of attempt {found[0]['attempt']}"
        elif found and not _is_of(row, found[0]):
            yield f"{row['id']} has another job's result"


def _is_of(job: Row, result: Row) -> bool:
    """Tell whether a result can be this job's; only an echo's says whose it is."""
    if job["type"] != "system.echo":
        return True
    return bool(result["body"]["payload"] == job["params"]["payload"])


def _one_effect(facts: Facts) -> Iterator[str]:
    """Forecasts, analyses and loads are stored once for a success, never else."""
    forecasts = facts.by_job(facts.forecasts)
    analyses = facts.by_job(facts.rows("analyses"))
    loads = facts.by_job(facts.rows("ingest_runs"))
    numbers = {job_id: number for number, job_id in facts.told.jobs.items()}
    for row in facts.rows("jobs"):
        wanted = _wanted(facts, row, numbers)
        stored = {
            "forecast.run": len(forecasts[row["id"]]),
            "analysis.run": len(analyses[row["id"]]),
            "ingest.run": len(loads[row["id"]]),
        }
        for kind, count in stored.items():
            expected = wanted if kind == row["type"] else 0
            # What the parts of a job stored stays, though a later part failed.
            if row.get("step") == "parts" and row["state"] != "succeeded":
                continue
            if count != expected:
                told = f"{row['id']} ({row['type']}, {row['state']})"
                yield f"{told} stored {count} rows of {kind}, not {expected}"
        for forecast in forecasts[row["id"]]:
            if forecast["points"] != HORIZON:
                yield f"{row['id']} stored a forecast of {forecast['points']} points"


def _wanted(facts: Facts, row: Row, numbers: dict[str, int]) -> int:
    """Return how many rows of its own kind a job must have stored."""
    if row["state"] != "succeeded" or row["id"] not in numbers:
        return 0
    return len(facts.told.submission(numbers[row["id"]]).series)


def _observations(facts: Facts) -> Iterator[str]:
    """The observations are those of the files that were loaded, each written once."""
    jobs = facts.jobs()
    wanted = {
        (upload_key(number), ts): value
        for number, job_id in facts.told.jobs.items()
        if job_id in jobs
        and jobs[job_id]["type"] == "ingest.run"
        and jobs[job_id]["state"] == "succeeded"
        for ts, value in upload_rows(number).items()
    }
    found = {(row["key"], row["ts"]): row["value"] for row in facts.observations}
    for place in wanted.keys() - found.keys():
        yield f"{place[0]} has nothing at {place[1]}, which was loaded"
    for place in found.keys() - wanted.keys():
        yield f"{place[0]} has {found[place]} at {place[1]}, which no success loaded"
    for place in wanted.keys() & found.keys():
        if wanted[place] != found[place]:
            yield f"{place[0]} at {place[1]} is {found[place]}, not {wanted[place]}"
    for row in facts.observations:
        if row["versions"] != 1:
            yield f"{row['key']} at {row['ts']} has {row['versions']} versions"


def _nothing_held(facts: Facts) -> Iterator[str]:
    """No lease, no message, no transaction, no request is left over."""
    for row in facts.rows("jobs"):
        if row["state"] in FINAL and row["lease_until"] is not None:
            yield f"{row['id']} has {row['state']} and still holds a lease"
    for row in facts.rows("outbox"):
        yield f"{row['job_id']} attempt {row['attempt']} is still to be published"
    for row in facts.held:
        yield f"database process {row['pid']} holds on: {row['what']}"
    if facts.held_requests:
        yield f"{facts.held_requests} requests are still held by the web process"


def _queues_empty(facts: Facts) -> Iterator[str]:
    """The broker holds no message, ready or handed out."""
    if not facts.queues:
        yield "no queue was seen"
    for name, (ready, unacknowledged) in facts.queues.items():
        if ready or unacknowledged:
            yield f"{name} holds {ready} ready, {unacknowledged} unacknowledged"


def _keys(facts: Facts) -> Iterator[str]:
    """An idempotency key stands for the one thing the client was told of."""
    made = {row["key"]: row["resource_id"] for row in facts.rows("idempotency_keys")}
    for number, job_id in facts.told.jobs.items():
        key = facts.told.submission(number).key + "-v1-jobs"
        if made.get(key) != job_id:
            yield f"{key} stands for {made.get(key)}, the client has {job_id}"
    for number, upload in facts.told.uploads.items():
        key = facts.told.submission(number).key + "-v1-uploads"
        if made.get(key) != upload:
            yield f"{key} stands for {made.get(key)}, the client has {upload}"


def _uploads_whole(facts: Facts) -> Iterator[str]:
    """A file has its row and a row its file; nothing half-done is left."""
    rows = {row["id"] for row in facts.rows("uploads")}
    files = set(facts.files)
    for name in sorted(rows - files):
        yield f"upload {name} has no file"
    for name in sorted(files - rows):
        yield f"the file {name} belongs to no upload"


def _fired_once(facts: Facts) -> Iterator[str]:
    """A fire time of a schedule made one firing, and a job one firing's."""
    times = Counter(
        (row["schedule_id"], row["fire_at"]) for row in facts.rows("schedule_firings")
    )
    for (schedule, fire_at), count in times.items():
        if count > 1:
            yield f"{schedule} fired {count} times for {fire_at}"
    jobs = facts.jobs()
    fired = Counter(_fired(facts))
    for job_id, count in fired.items():
        if count > 1:
            yield f"{job_id} belongs to {count} firings"
        if job_id not in jobs:
            yield f"{job_id} was fired and is gone"


CHECKS: dict[str, Callable[[Facts], Iterator[str]]] = {
    "every accepted job is there once, and no other": _accounted_for,
    "every promise to a client was kept": _promises_kept,
    "every job has ended, in one state": _ended,
    "one result for a success, none otherwise": _one_result,
    "effects stored exactly once": _one_effect,
    "observations are what was uploaded": _observations,
    "events complete and in order": in_order,
    "streams told what the table holds": streams_agree,
    "the stream of all jobs told every event": feed_agrees,
    "who waits for another ran after it": chains_kept,
    "concurrency keys were kept to": keys_kept,
    "jobs in parts are whole": parts_whole,
    "nothing is held or left over": _nothing_held,
    "queues are empty": _queues_empty,
    "a key stands for one thing": _keys,
    "uploads are whole or absent": _uploads_whole,
    "a fire time made one firing": _fired_once,
}


def audit(facts: Facts) -> list[Finding]:
    """Return all that must not be; an empty list is what is wanted."""
    return [
        Finding(name, detail)
        for name, check in CHECKS.items()
        for detail in check(facts)
    ]
