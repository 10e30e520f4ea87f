"""Whether jobs that wait for each other, or share a key, kept to it."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.facts import Facts, Row
from tests.chaos.submissions import KEY_LIMIT

_FINAL = {"succeeded", "failed", "cancelled"}


def chains_kept(facts: Facts) -> Iterator[str]:
    """A job that waits for another runs after it succeeded, or not at all."""
    jobs = facts.jobs()
    events = facts.by_job(facts.events)
    waits = {
        (row["job_id"], row["after_id"]): row["on_failure"]
        for row in facts.rows("job_dependencies")
    }
    for number, after_id in facts.told.after.items():
        job_id = facts.told.jobs.get(number)
        if job_id is not None and (job_id, after_id) not in waits:
            yield f"{job_id} does not wait for {after_id}"
    for job_id, after_id in waits:
        if job_id not in jobs or after_id not in jobs:
            yield f"{job_id} or {after_id} is gone"
            continue
        began = [one["id"] for one in events[job_id] if one["kind"] == "running"]
        ended = [one["id"] for one in events[after_id] if one["kind"] in _FINAL]
        if began and jobs[after_id]["state"] != "succeeded":
            yield f"{job_id} ran though {after_id} has {jobs[after_id]['state']}"
        elif began and ended and began[0] < ended[0]:
            yield f"{job_id} ran before {after_id} had ended"


def keys_kept(facts: Facts) -> Iterator[str]:
    """Of the jobs with one concurrency key, no more ran at a time than allowed."""
    keyed = {
        row["id"]: row["concurrency_key"]
        for row in facts.rows("jobs")
        if row.get("concurrency_key") is not None
    }
    running: dict[str, set[str]] = defaultdict(set)
    for event in facts.events:
        key = keyed.get(event["job_id"])
        if key is None:
            continue
        if event["kind"] == "running":
            running[key].add(event["job_id"])
            if len(running[key]) > KEY_LIMIT:
                yield f"{sorted(running[key])} ran at a time with the key {key}"
        elif event["kind"] in {*_FINAL, "retrying"}:
            running[key].discard(event["job_id"])


def parts_whole(facts: Facts) -> Iterator[str]:
    """A job in parts ends after its parts and with one finish."""
    jobs = facts.jobs()
    children: dict[str, list[Row]] = defaultdict(list)
    for row in jobs.values():
        if row.get("parent_id") is not None:
            children[row["parent_id"]].append(row)
    for parent_id, parts in children.items():
        parent = jobs.get(parent_id)
        if parent is None:
            yield f"{parent_id} has parts and is gone"
            continue
        finishes = [row for row in parts if row["step"] == "finish"]
        numbers = sorted(row["part"] for row in parts if row["step"] == "part")
        if len(finishes) != 1 or numbers != list(range(len(numbers))):
            yield f"{parent_id} has parts {numbers} and {len(finishes)} finishes"
        states = {row["state"] for row in parts}
        if parent["state"] == "succeeded" and states != {"succeeded"}:
            yield f"{parent_id} succeeded with parts that have {sorted(states)}"
        if parent["state"] != "succeeded" and "succeeded" in {
            row["state"] for row in finishes
        }:
            yield f"{parent_id} has {parent['state']}, and its finish succeeded"
