"""Each failure of a handler has one meaning for its job."""

import pickle

import pytest

from tasks.errors import (
    FieldError,
    InvalidData,
    InvalidParams,
    JobCancelled,
    JobTimedOut,
    SourceRefused,
    SourceUnavailable,
)
from workers.outcomes import lost, verdict

TABLE = [
    (JobCancelled(), "cancelled", "cancelled_by_user", False),
    (JobTimedOut("ran longer than 5 s"), "failed", "timeout", False),
    (InvalidParams("horizon"), "failed", "invalid_data", False),
    (InvalidData("no series x"), "failed", "invalid_data", False),
    (SourceUnavailable("away"), "failed", "source_unavailable", True),
    (SourceRefused("no", "auth"), "failed", "source_refused", False),
    (ZeroDivisionError("x"), "failed", "internal_error", True),
]


@pytest.mark.parametrize(("error", "state", "reason", "retry"), TABLE)
def test_every_exception_class_has_its_row(error, state, reason, retry):
    judged = verdict(error)
    assert (judged.end.state, judged.end.reason) == (state, reason)
    assert judged.retry is retry


@pytest.mark.parametrize("error", [row[0] for row in TABLE])
def test_every_error_survives_pickling_with_its_words(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_bad_fields_are_listed_in_the_problem():
    error = InvalidData("bad", (FieldError("/params/series/0", "no series x"),))
    problem = verdict(error).end.error
    assert problem is not None
    assert problem["errors"] == [
        {"pointer": "/params/series/0", "detail": "no series x"}
    ]


def test_the_words_of_a_stranger_s_error_stay_in_the_log():
    problem = verdict(ValueError("api_key=secret")).end.error
    assert problem is not None
    assert "ValueError" in problem["detail"]
    assert "secret" not in str(problem)


def test_a_source_may_say_how_long_to_wait():
    assert verdict(SourceUnavailable("later", retry_after_s=30)).retry_after_s == 30


def test_a_lost_worker_is_a_problem_document():
    problem = lost("it died").error
    assert problem is not None
    assert problem["type"] == "/problems/worker-lost"
    assert problem["status"] == 500


@pytest.mark.parametrize(
    ("why", "kind", "status"),
    [
        ("missing_secret", "missing-secret", 422),
        ("unfit_secret", "unfit-secret", 422),
        ("too_large_answer", "too-large-answer", 422),
        ("not_allowed", "not-allowed", 422),
        ("transient", "source-refused", 502),
    ],
)
def test_a_refusal_that_its_owner_can_mend_has_a_problem_of_its_own(why, kind, status):
    problem = verdict(SourceRefused("put the credential again", why)).end.error
    assert problem is not None
    assert (problem["type"], problem["status"]) == (f"/problems/{kind}", status)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidData("bad"), 422),
        (SourceRefused("no", "auth"), 502),
        (SourceUnavailable("away"), 503),
        (JobTimedOut("ran longer than 5 s"), 500),
        (ZeroDivisionError("x"), 500),
    ],
)
def test_a_problem_says_whose_fault_it_is(error, status):
    problem = verdict(error).end.error
    assert problem is not None
    assert problem["status"] == status
