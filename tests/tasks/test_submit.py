"""Submitting: validate against the catalogue, then one transaction for all."""

from dataclasses import asdict
from datetime import timedelta, timezone

import pytest
from pydantic import BaseModel, ValidationError

from db import limits
from db.errors import KeyInFlight, KeyReused
from tasks import submit
from tasks.catalog import Limits, Retry
from tasks.errors import FieldError, InvalidParams, NotFound, QuotaExceeded
from tasks.submission import Submission
from tests.db import rows

ECHO = Submission("system.echo", {"payload": {"a": 1}})


def _submit(database, tenant_id, submission=ECHO, once=None):
    with database.tenant(tenant_id) as connection:
        return submit.submit(
            connection, tenant_id=tenant_id, submission=submission, once=once
        )


def _jobs(database) -> int:
    return rows.value(database, "SELECT count(*) FROM jobs")


def test_the_job_type_decides_what_the_client_leaves_open():
    new = submit.prepare(Submission("forecast.run", {"series": ["a"], "horizon": 3}))
    assert (new.queue, new.timeout_s, new.max_attempts) == ("forecast", 600, 3)
    assert new.priority == 5
    assert new.params["quantiles"] == [0.1, 0.5, 0.9]


@pytest.mark.parametrize(
    ("given", "pointers"),
    [
        ({"partition": {"id": "p1"}}, ["/params/partition"]),
        ({"tier": "warm"}, ["/params/tier"]),
        (
            {"partition": {"id": "p1"}, "tier": "x"},
            ["/params/partition", "/params/tier"],
        ),
    ],
)
def test_what_the_platform_fills_in_is_refused_from_clients(given, pointers):
    with pytest.raises(InvalidParams) as caught:
        submit.prepare(Submission("ingest.run", {"source": "load", **given}))
    assert [one.pointer for one in caught.value.errors] == pointers
    assert caught.value.errors[0].detail.endswith("filled in by Forebay: leave it out")


def test_the_params_of_a_job_can_be_sent_again_as_they_are_shown():
    shown = submit.prepare(Submission("ingest.run", {"source": "load"})).params
    assert (shown["partition"], shown["tier"]) == (None, "")
    assert submit.prepare(Submission("ingest.run", shown)).params == shown


def test_the_client_decides_what_it_may():
    asked = Submission(
        "system.echo",
        labels={"team": "grid"},
        priority=9,
        timeout_s=7,
        deadline=rows.AT,
        traceparent="00-1-2-01",
        lane="backfill",
        max_attempts=9,
        delay_s=3.0,
    )
    new = asdict(submit.prepare(asked))
    for name in (
        *("labels", "priority", "timeout_s", "deadline", "traceparent"),
        *("lane", "max_attempts", "delay_s"),
    ):
        assert new[name] == getattr(asked, name)


def test_a_policy_keeps_what_differs_from_the_platforms(register):
    def handler(_params, _context):
        """Do nothing."""

    own = Limits(retry=Retry(delay_s=5.0, factor=3.0))
    name = register(handler, limits=own)
    assert submit.prepare(Submission("system.echo")).retry == {}
    assert submit.prepare(Submission(name)).retry == {"delay_s": 5.0, "factor": 3.0}
    asked = Submission(name, retry={"factor": 1.0, "jitter": 0.0})
    assert submit.prepare(asked).retry == {
        "delay_s": 5.0,
        "factor": 1.0,
        "jitter": 0.0,
    }


def test_a_limit_without_a_key_is_no_limit():
    assert submit.prepare(Submission("system.echo")).concurrency_limit is None
    keyed = submit.prepare(Submission("system.echo", concurrency_key="k"))
    assert (keyed.concurrency_key, keyed.concurrency_limit) == ("k", 1)


def test_an_unknown_job_type_is_refused_with_the_known_ones():
    with pytest.raises(
        InvalidParams, match=r"known are analysis\.evaluate, analysis\.run,"
    ) as caught:
        submit.prepare(Submission("forecast.walk"))
    assert [error.pointer for error in caught.value.errors] == ["/type"]


def test_every_bad_field_is_named_by_its_place():
    with pytest.raises(InvalidParams, match=r"the params of forecast\.run") as caught:
        submit.prepare(
            Submission(
                "forecast.run",
                {
                    "data": [{"ds": "2026-01-01T00:00:00Z", "y": "many"}, {"y": 1}],
                    "horizon": 0,
                    "a/b~c": 1,
                },
            )
        )
    assert {error.pointer for error in caught.value.errors} == {
        "/params/data/0/y",
        "/params/data/1/ds",
        "/params/horizon",
        "/params/a~1b~0c",
    }


@pytest.mark.parametrize(
    ("series", "pointer"),
    [
        (["Bad Key"], "/params/series/0"),
        (["good", 5], "/params/series/1"),
        ({"tag": ""}, "/params/series/tag"),
        ([], "/params/series"),
        (5, "/params/series"),
    ],
)
def test_a_place_that_may_hold_two_kinds_is_named_as_it_is_in_the_body(series, pointer):
    with pytest.raises(InvalidParams) as caught:
        submit.prepare(Submission("forecast.run", {"series": series, "horizon": 1}))
    assert pointer in {error.pointer for error in caught.value.errors}
    for error in caught.value.errors:
        assert error.pointer.split("/")[:3] == ["", "params", "series"]
        assert "TagSelection" not in error.pointer
        assert "list[" not in error.pointer


def test_the_words_of_an_error_hold_no_value_of_the_request():
    with pytest.raises(InvalidParams) as caught:
        submit.prepare(Submission("forecast.run", {"series": ["S3cret"], "horizon": 1}))
    told = str(caught.value) + str(caught.value.errors)
    assert "S3cret" not in told


def test_a_fault_of_the_whole_body_points_to_its_root():
    class Body(BaseModel):
        number: int

    with pytest.raises(ValidationError) as caught:
        Body.model_validate([])
    (error,) = submit.field_errors(caught.value, given=[])
    assert error == FieldError("", error.detail)


def test_more_faults_than_anybody_reads_are_only_counted():
    rows_without_a_value = [{"ds": "2026-01-01T00:00:00Z"}] * 201
    with pytest.raises(InvalidParams) as caught:
        submit.prepare(
            Submission("forecast.run", {"data": rows_without_a_value, "horizon": 1})
        )
    (error,) = caught.value.errors
    assert error.pointer == "/params"
    assert error.detail.startswith("201 values are not valid")


def test_a_fingerprint_ignores_the_order_of_names_and_nothing_else():
    mark = submit.fingerprint("/v1/jobs", {"a": 1, "b": [1, 2]})
    assert submit.fingerprint("/v1/jobs", {"b": [1, 2], "a": 1}) == mark
    others = [
        ("/v1/jobs", {"a": 1, "b": [2, 1]}),
        ("/v1/jobs", {"a": 1}),
        ("/v1/jobs", {"a": "1", "b": [1, 2]}),
        ("/v1/uploads", {"a": 1, "b": [1, 2]}),
    ]
    assert mark not in [submit.fingerprint(*other) for other in others]


@pytest.mark.servers
def test_a_submission_is_stored_with_its_defaults(database, tenant_id):
    job, seen_before = _submit(
        database, tenant_id, Submission("system.echo", {"payload": {"a": 1}})
    )
    assert not seen_before
    assert job == rows.job(database, tenant_id, job.id)
    assert job.params == {"payload": {"a": 1}, "duration_s": 0}


@pytest.mark.servers
@pytest.mark.parametrize("offset_h", [-11, 0, 5.5])
def test_what_a_submission_returns_is_the_row_as_it_is_stored(
    database, tenant_id, offset_h
):
    zone = timezone(timedelta(hours=offset_h))
    asked = Submission(
        "system.echo",
        {"payload": {"b": 1.0, "a": [None, "ü", 1e-9]}, "duration_s": 0.25},
        labels={"team": "grid"},
        priority=9,
        timeout_s=7,
        deadline=rows.AT.astimezone(zone) + timedelta(microseconds=1),
        traceparent="00-1-2-01",
    )
    job, _ = _submit(database, tenant_id, asked)
    assert job == rows.job(database, tenant_id, job.id)
    assert job.deadline.utcoffset() == timedelta(0)


@pytest.mark.servers
def test_a_submission_that_is_not_valid_stores_nothing(database, tenant_id):
    with pytest.raises(InvalidParams):
        _submit(database, tenant_id, Submission("system.echo", {"payload": 1}))
    assert _jobs(database) == 0


@pytest.mark.servers
def test_the_same_key_and_body_make_one_job(database, tenant_id):
    once = ("key", submit.fingerprint("/v1/jobs", {"a": 1}))
    first, _ = _submit(database, tenant_id, once=once)
    again, seen_before = _submit(database, tenant_id, once=once)
    assert seen_before
    assert again == first
    assert _jobs(database) == 1


@pytest.mark.servers
def test_the_same_key_with_another_body_is_refused(database, tenant_id):
    _submit(database, tenant_id, once=("key", b"one"))
    with pytest.raises(KeyReused):
        _submit(database, tenant_id, once=("key", b"other"))
    assert _jobs(database) == 1


@pytest.mark.servers
def test_a_key_whose_first_request_has_not_ended_is_in_flight(database, tenant_id):
    with database.tenant(tenant_id) as connection:
        submit.submit(
            connection, tenant_id=tenant_id, submission=ECHO, once=("key", b"one")
        )
        with pytest.raises(KeyInFlight):
            _submit(database, tenant_id, once=("key", b"one"))
    assert _jobs(database) == 1


@pytest.mark.servers
def test_a_refused_submission_does_not_use_up_its_key(database, tenant_id):
    bad = Submission("system.echo", {"payload": 1})
    with pytest.raises(InvalidParams):
        _submit(database, tenant_id, bad, once=("key", b"bad"))
    _, seen_before = _submit(database, tenant_id, once=("key", b"good"))
    assert not seen_before


@pytest.mark.servers
def test_of_many_submissions_the_good_ones_are_stored(database, tenant_id):
    wanted = [ECHO, Submission("nothing"), ECHO, Submission("system.echo", {"x": 1})]
    with database.tenant(tenant_id) as connection:
        made = submit.submit_many(connection, tenant_id=tenant_id, submissions=wanted)
    good = [one.id for one in made if not isinstance(one, InvalidParams)]
    assert [isinstance(one, InvalidParams) for one in made] == [
        False,
        True,
        False,
        True,
    ]
    for job_id in good:
        assert rows.job(database, tenant_id, job_id).state == "queued"
    assert _jobs(database) == 2


@pytest.mark.servers
def test_many_submissions_may_all_be_bad(database, tenant_id):
    with database.tenant(tenant_id) as connection:
        submit.submit_many(
            connection, tenant_id=tenant_id, submissions=[Submission("nothing")]
        )
    assert _jobs(database) == 0


@pytest.mark.servers
def test_a_job_of_another_tenant_is_not_found(database, tenant_id, other_tenant_id):
    job, _ = _submit(database, tenant_id)
    for call in (submit.find, submit.cancel):
        with (
            pytest.raises(NotFound, match=f"no job {job.id}"),
            database.tenant(other_tenant_id) as connection,
        ):
            call(connection, tenant_id=other_tenant_id, job_id=job.id)
    assert rows.job(database, tenant_id, job.id).state == "queued"


@pytest.mark.servers
def test_a_cancelled_job_comes_back_as_it_is_now(database, tenant_id):
    job, _ = _submit(database, tenant_id)
    for _ in range(2):
        with database.tenant(tenant_id) as connection:
            cancelled = submit.cancel(connection, tenant_id=tenant_id, job_id=job.id)
        assert (cancelled.state, cancelled.version) == ("cancelled", 2)


def _allow(database, tenant_id, max_queued) -> None:
    with database.system() as connection:
        limits.put(
            connection, tenant_id=tenant_id, limits=limits.Limits(max_queued=max_queued)
        )


@pytest.mark.servers
def test_a_full_queue_refuses_more_and_takes_what_there_is_room_for(
    database, tenant_id
):
    _allow(database, tenant_id, 2)
    with (
        pytest.raises(QuotaExceeded, match="room for 2 more jobs, and these are 3"),
        database.tenant(tenant_id) as connection,
    ):
        submit.submit_many(connection, tenant_id=tenant_id, submissions=[ECHO] * 3)
    assert _jobs(database) == 0
    first, _ = _submit(database, tenant_id)
    _submit(database, tenant_id)
    with pytest.raises(QuotaExceeded, match="room for 0 more jobs"):
        _submit(database, tenant_id)
    rows.claim(database, first.id)
    _submit(database, tenant_id)


@pytest.mark.servers
def test_a_lowered_quota_has_no_room_and_no_debt(database, tenant_id):
    for _ in range(3):
        _submit(database, tenant_id)
    _allow(database, tenant_id, 1)
    with pytest.raises(QuotaExceeded, match="room for 0 more jobs"):
        _submit(database, tenant_id)


@pytest.mark.servers
def test_a_key_seen_before_needs_no_room(database, tenant_id):
    _allow(database, tenant_id, 1)
    first, _ = _submit(database, tenant_id, once=("key", b"one"))
    again, seen_before = _submit(database, tenant_id, once=("key", b"one"))
    assert seen_before
    assert again.id == first.id
