"""The audit finds each fault that is planted, and nothing in a sound platform."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tasks.catalog import job_types
from tests.chaos import audit, facts, submissions
from tests.chaos.facts import Facts
from tests.chaos.load import Told

SEED = 4
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = range(60)


def job(number: int, **more) -> dict:
    item = submissions.make_submission(SEED, number)
    return {
        "id": f"job_{number}",
        "type": item.type,
        "state": "succeeded",
        "reason": None,
        "params": item.params,
        "labels": item.labels,
        "attempt": 1,
        "deadline": None,
        "cancel_requested_at": None,
        "lease_until": None,
        "finished_at": NOW,
        **more,
    }


def story(job_id: str, *kinds: str) -> list[dict]:
    attempt = 1
    found = []
    for kind in kinds:
        attempt += kind == "retrying"
        body = {"attempt": attempt, "progress": {"done": 1}}
        number = int(job_id.removeprefix("job_")) * 100 + len(found)
        found.append({"id": number, "job_id": job_id, "kind": kind, "body": body})
    return found


def sound() -> Facts:
    """Return what a platform leaves behind that did all that was asked."""
    told = Told(SEED, jobs={number: f"job_{number}" for number in NUMBERS})
    found = Facts(told, queues={"system": (0, 0)})
    found.tables = {name: [] for name in facts._TABLES}
    for number in NUMBERS:
        _add(found, number)
    fired = {"schedule_id": "sch_1", "fire_at": NOW, "job_id": "job_900"}
    found.tables["schedule_firings"].append(fired)
    found.tables["jobs"].append(job(0, id="job_900", labels={}, type="analysis.run"))
    found.tables["job_results"].append(
        {"job_id": "job_900", "attempt": 1, "body": {"payload": {}}}
    )
    found.events += story("job_900", "queued", "running", "succeeded")
    found.streams = {
        "job_1": [(one["id"], one["kind"]) for one in story("job_1", *PLAIN)]
    }
    found.feed = [(one["job_id"], one["kind"]) for one in found.events]
    return found


PLAIN = ("queued", "running", "progress", "succeeded")


def _add(found: Facts, number: int) -> None:
    row = job(number)
    item = submissions.make_submission(SEED, number)
    tables = found.tables
    tables["jobs"].append(row)
    body = {"payload": item.params.get("payload")}
    tables["job_results"].append({"job_id": row["id"], "attempt": 1, "body": body})
    tables["idempotency_keys"].append(
        {"key": f"{item.key}-v1-jobs", "resource_id": row["id"]}
    )
    found.events += story(row["id"], *PLAIN)
    for key in item.series:
        stored = {"job_id": row["id"], "key": key, "points": submissions.HORIZON}
        {
            "forecast.run": found.forecasts,
            "analysis.run": tables["analyses"],
            "ingest.run": tables["ingest_runs"],
        }[item.type].append(stored)
    if item.kind == "ingest":
        upload = f"upl_{number}"
        found.told.uploads[number] = upload
        tables["uploads"].append({"id": upload})
        found.files.append(upload)
        tables["idempotency_keys"].append(
            {"key": f"{item.key}-v1-uploads", "resource_id": upload}
        )
        found.observations += [
            {"key": item.series[0], "ts": ts, "value": value, "versions": 1}
            for ts, value in submissions.upload_rows(number).items()
        ]


def change(place: Callable[[Facts], dict], **columns) -> Callable[[Facts], None]:
    return lambda found: place(found).update(columns)


def double(place: Callable[[Facts], list]) -> Callable[[Facts], None]:
    return lambda found: place(found).append(copy.copy(place(found)[0]))


def lose(place: Callable[[Facts], list], at: int = 0) -> Callable[[Facts], None]:
    return lambda found: place(found).pop(at)


def _job(found: Facts) -> dict:
    return found.tables["jobs"][0]


def table(name: str) -> Callable[[Facts], list]:
    return lambda found: found.tables[name]


def _third(found: Facts) -> dict:
    return found.tables["jobs"][2]


def both(*plants: Callable[[Facts], object]) -> Callable[[Facts], None]:
    def plant(found: Facts) -> None:
        for one in plants:
            one(found)

    return plant


def chain(number: int, *, after: int) -> Callable[[Facts], None]:
    """Let one job wait for another."""
    row = {"job_id": f"job_{number}", "after_id": f"job_{after}"}
    return lambda found: found.tables["job_dependencies"].append(
        {**row, "on_failure": "cancel"}
    )


def crowd(found: Facts) -> None:
    """Let one job more run at a time than its key allows."""
    crowded = found.tables["jobs"][: submissions.KEY_LIMIT + 1]
    for row in crowded:
        row["concurrency_key"] = "one"
    found.events.sort(key=lambda event: event["kind"] == "succeeded")


def split(found: Facts) -> None:
    """Run the first job in two parts."""
    _job(found)["step"] = "parts"
    for number in range(2):
        found.tables["jobs"].append(
            job(0, id=f"job_80{number}", parent_id="job_0", step="part", part=number)
        )
    found.tables["jobs"].append(
        job(0, id="job_802", parent_id="job_0", step="finish", part=None)
    )
    for number in range(3):
        found.events += story(f"job_80{number}", "queued", "running", "succeeded")


def retell(*kinds: str) -> Callable[[Facts], None]:
    """Give job_0 another story."""

    def plant(found: Facts) -> None:
        others = [one for one in found.events if one["job_id"] != "job_0"]
        found.events = story("job_0", *kinds) + others

    return plant


def put(name: str, value: object) -> Callable[[Facts], None]:
    return lambda found: setattr(found, name, value)


(
    ACCOUNTED,
    PROMISES,
    ENDED,
    RESULT,
    EFFECTS,
    OBSERVED,
    ORDER,
    STREAMS,
    FEED,
    CHAINS,
    ONE_KEY,
    PARTS,
    HELD,
    QUEUES,
    KEYS,
    UPLOADS,
    FIRED,
) = audit.CHECKS

PLANTED = {
    "a lost job": (ACCOUNTED, lose(table("jobs"))),
    "a job twice": (
        ACCOUNTED,
        lambda found: found.tables["jobs"].append(job(0, id="job_77")),
    ),
    "a job nobody asked for": (
        ACCOUNTED,
        lambda found: found.tables["jobs"].append(job(99, id="job_99", labels={})),
    ),
    "an answer of 500": (
        PROMISES,
        lambda found: found.told.broken_promises.append("/v1/jobs answered 500"),
    ),
    "a cancelled job that ran": (
        PROMISES,
        lambda found: found.told.cancelled.add("job_0"),
    ),
    "a stuck job": (ENDED, change(_job, state="running", finished_at=None)),
    "a queued job": (ENDED, change(_job, state="queued", finished_at=None)),
    "an unforeseen failure": (
        ENDED,
        change(_job, state="failed", reason="internal_error"),
    ),
    "a deadline nobody set": (
        ENDED,
        change(_job, state="failed", reason="never_started"),
    ),
    "a cancel nobody asked for": (
        ENDED,
        change(_job, state="cancelled", reason="cancelled_by_user"),
    ),
    "an end at no time": (ENDED, change(_job, finished_at=None)),
    "a doubled result": (RESULT, double(table("job_results"))),
    "a lost result": (RESULT, lose(table("job_results"))),
    "a result of a fenced attempt": (RESULT, change(_job, attempt=2)),
    "a result of a failed job": (
        RESULT,
        change(_job, state="failed", reason="worker_lost"),
    ),
    "another job's result": (
        RESULT,
        change(lambda found: found.tables["job_results"][-3], body={"payload": {}}),
    ),
    "a doubled forecast": (EFFECTS, double(lambda found: found.forecasts)),
    "half a forecast": (
        EFFECTS,
        change(lambda found: found.forecasts[0], points=3),
    ),
    "a lost analysis": (EFFECTS, lose(table("analyses"))),
    "a doubled load": (EFFECTS, double(table("ingest_runs"))),
    "a lost observation": (OBSERVED, lose(lambda found: found.observations)),
    "an observation from nowhere": (
        OBSERVED,
        change(lambda found: found.observations[0], ts=NOW + timedelta(days=9_000)),
    ),
    "a changed observation": (
        OBSERVED,
        change(lambda found: found.observations[0], value=-1.0),
    ),
    "an observation written twice": (
        OBSERVED,
        change(lambda found: found.observations[0], versions=2),
    ),
    "a missing event": (ORDER, retell("queued", "succeeded")),
    "no first event": (ORDER, retell("running", "succeeded")),
    "no events": (ORDER, retell()),
    "no last event": (ORDER, retell("queued", "running")),
    "two ends": (ORDER, retell("queued", "running", "failed", "succeeded")),
    "something after the end": (
        ORDER,
        retell("queued", "running", "succeeded", "progress"),
    ),
    "another end": (ORDER, retell("queued", "running", "failed")),
    "an attempt that was not told": (
        ORDER,
        retell("queued", "running", "retrying", "running", "succeeded"),
    ),
    "an attempt that ran twice": (
        ORDER,
        retell("queued", "running", "running", "succeeded"),
    ),
    "an unknown event": (ORDER, retell("queued", "running", "danced", "succeeded")),
    "an attempt out of turn": (
        ORDER,
        change(lambda found: found.events[1], body={"attempt": 4}),
    ),
    "a gap in a stream": (STREAMS, lambda found: found.streams["job_1"].pop(1)),
    "a doubled event in a stream": (
        STREAMS,
        lambda found: found.streams["job_1"].insert(1, found.streams["job_1"][1]),
    ),
    "a stream out of order": (STREAMS, lambda found: found.streams["job_1"].reverse()),
    "an event the stream of all jobs lost": (FEED, lose(lambda found: found.feed)),
    "an event the stream of all jobs doubled": (FEED, double(lambda found: found.feed)),
    "a chained job that ran too early": (CHAINS, chain(2, after=3)),
    "a chained job that ran all the same": (
        CHAINS,
        both(chain(3, after=2), change(_third, state="failed", reason="worker_lost")),
    ),
    "a chain that was forgotten": (
        CHAINS,
        lambda found: found.told.after.update({3: "job_2"}),
    ),
    "a chain to a job that is gone": (CHAINS, chain(3, after=999)),
    "a key with too many jobs": (ONE_KEY, crowd),
    "a part that is missing": (PARTS, both(split, lose(table("jobs"), at=-3))),
    "no finish": (PARTS, both(split, lose(table("jobs"), at=-1))),
    "a success with a failed part": (
        PARTS,
        both(split, change(lambda found: found.tables["jobs"][-2], state="failed")),
    ),
    "a finish of a failed job": (PARTS, both(split, change(_job, state="failed"))),
    "parts of a job that is gone": (PARTS, both(split, lose(table("jobs")))),
    "a leaked lease": (HELD, change(_job, lease_until=NOW)),
    "an outbox row": (
        HELD,
        lambda found: found.tables["outbox"].append({"job_id": "job_0", "attempt": 1}),
    ),
    "an open transaction": (HELD, put("held", [{"pid": 1, "what": "SELECT"}])),
    "a held request": (HELD, put("held_requests", 1)),
    "a message in a queue": (QUEUES, put("queues", {"system": (1, 0)})),
    "a message handed out": (QUEUES, put("queues", {"system": (0, 1)})),
    "no queue at all": (QUEUES, put("queues", {})),
    "a key for another job": (
        KEYS,
        change(lambda found: found.tables["idempotency_keys"][0], resource_id="job_x"),
    ),
    "a lost key": (KEYS, lose(table("idempotency_keys"), at=-1)),
    "a lost file": (UPLOADS, lose(lambda found: found.files)),
    "half a file": (UPLOADS, lambda found: found.files.append("upl_x.part")),
    "a doubled firing": (FIRED, double(table("schedule_firings"))),
    "a fired job that is gone": (FIRED, lose(table("jobs"), at=-1)),
}


def found_by(planted: Facts) -> set[str]:
    return {finding.check for finding in audit.audit(planted)}


def test_a_sound_platform_has_no_findings():
    assert audit.audit(sound()) == []


@pytest.mark.parametrize("name", PLANTED)
def test_the_audit_finds(name):
    check, plant = PLANTED[name]
    facts = copy.deepcopy(sound())
    plant(facts)
    assert check in found_by(facts)


def test_every_check_has_a_fault_planted_for_it():
    assert {check for check, _ in PLANTED.values()} == set(audit.CHECKS)


def test_a_job_that_met_faults_and_ended_is_no_finding():
    found = sound()
    retell("queued", "running", "progress", "retrying", "running", "succeeded")(found)
    found.feed = [(one["job_id"], one["kind"]) for one in found.events]
    change(_job, attempt=2)(found)
    change(lambda one: one.tables["job_results"][0], attempt=2)(found)
    assert audit.audit(found) == []


def test_a_chained_job_that_ran_in_turn_is_no_finding():
    found = sound()
    chain(3, after=2)(found)
    assert audit.audit(found) == []


def test_the_parts_of_a_job_are_no_jobs_of_their_own():
    found = sound()
    split(found)
    checks = {finding.check for finding in audit.audit(found)}
    assert checks & {ACCOUNTED, PARTS} == set()


NOT_DRAWN = {
    # They look at the registry or at what other jobs stored, so what they have to
    # give does not follow from their number.
    *("forecast.monitor", "forecast.train", "forecast.whatif"),
    *("model.promote", "model.rollback", "analysis.watch", "analysis.evaluate"),
    # They ask a source, or read what other runs kept.
    *("ingest.freshness", "ingest.probe", "ingest.reconcile", "ingest.replay"),
}


def test_the_load_has_jobs_of_every_type_whose_result_follows_from_its_number():
    drawn = {submissions.make_submission(SEED, number).type for number in range(500)}
    assert drawn == set(job_types()) - NOT_DRAWN


@pytest.mark.servers
def test_the_facts_of_a_new_database_are_empty_and_sound(database_url):
    found = facts.read(database_url, Told(SEED))
    found.queues = {"system": (0, 0)}
    assert set(found.tables) == set(facts._TABLES)
    assert audit.audit(found) == []
