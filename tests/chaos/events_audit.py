"""Whether the events of a job tell a story that can have happened."""

import itertools
from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.facts import Facts, Row

_FINAL = {"succeeded", "failed", "cancelled"}
_FROM_WAITING = {"running", "released", "cancelled", "failed"}
_FROM_WORKING = {"progress", "cancel_requested", "retrying", *_FINAL}
_FOLLOWS: dict[str, set[str]] = {
    "queued": _FROM_WAITING,
    "released": _FROM_WAITING - {"released"},
    "retrying": _FROM_WAITING - {"released"},
    "running": _FROM_WORKING,
    "progress": _FROM_WORKING,
    "cancel_requested": {"progress", *_FINAL},
}
"""What may come after a kind of event."""


def in_order(facts: Facts) -> Iterator[str]:
    """Each job's events begin with queued, follow the states, and end once."""
    events = facts.by_job(facts.events)
    for row in facts.rows("jobs"):
        for wrong in _story(row, events.get(row["id"], [])):
            yield f"{row['id']}: {wrong}"


def _story(job: Row, events: list[Row]) -> Iterator[str]:
    kinds = [event["kind"] for event in events]
    if not kinds:
        yield "has no events"
        return
    if kinds[0] != "queued":
        yield f"begins with {kinds[0]}"
    for before, after in itertools.pairwise(kinds):
        if after not in _FOLLOWS.get(before, set()):
            yield f"{after} came after {before}"
    finals = [kind for kind in kinds if kind in _FINAL]
    if finals != [kinds[-1]]:
        yield f"has the ends {finals} and stops with {kinds[-1]}"
    if kinds[-1] != job["state"]:
        yield f"stops with {kinds[-1]} and is {job['state']}"
    yield from _attempts(job, events)
    yield from _progress(events)


def _attempts(job: Row, events: list[Row]) -> Iterator[str]:
    """Attempts are counted from 1 without a gap; each runs at most once."""
    current, ran = 1, 0
    for event in events:
        attempt = event["body"].get("attempt")
        if event["kind"] == "retrying":
            current += 1
        if attempt != current:
            yield f"{event['kind']} names attempt {attempt} during {current}"
        if event["kind"] == "running":
            if ran >= current:
                yield f"attempt {current} ran twice"
            ran = current
    if current != job["attempt"]:
        yield f"tells of {current} attempts and had {job['attempt']}"


def _progress(events: list[Row]) -> Iterator[str]:
    """Within an attempt the work done never shrinks."""
    done = 0
    for event in events:
        if event["kind"] == "running":
            done = 0
        if event["kind"] == "progress":
            now = event["body"]["progress"]["done"]
            if now < done:
                yield f"progress fell from {done} to {now}"
            done = now


def streams_agree(facts: Facts) -> Iterator[str]:
    """A client that followed a job has the table's events, in order, each once."""
    events = facts.by_job(facts.events)
    for job_id, seen in facts.streams.items():
        held = [(event["id"], event["kind"]) for event in events.get(job_id, [])]
        if seen == held:
            continue
        missing = [one for one in held if one not in seen]
        extra = len(seen) - len(set(seen))
        told = f"{len(seen)} told of {len(held)}, {extra} of them twice"
        yield f"{job_id}: {told}; missing {missing[:5]}"


def feed_agrees(facts: Facts) -> Iterator[str]:
    """The stream of all jobs told every event of every job, in the job's order."""
    told: dict[str, list[str]] = defaultdict(list)
    for job_id, kind in facts.feed:
        told[job_id].append(kind)
    held = facts.by_job(facts.events)
    for job_id in told.keys() | held.keys():
        kinds = [event["kind"] for event in held.get(job_id, [])]
        if told[job_id] != kinds:
            yield f"{job_id}: told {told[job_id]}, held {kinds}"
