"""The pause before the next attempt, and attempts that cost none."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from db import attempts
from tests.db import rows

pytestmark = pytest.mark.servers


def _pause_s(database, job_id, *, attempt=1, **pause) -> float:
    """The pause after an attempt was given back by the job's own policy."""
    with database.system() as connection:
        attempts.give_back(
            connection,
            job_id=job_id,
            attempt=attempt,
            end=attempts.End("failed", "lost", {"title": "lost"}),
            pause=attempts.Pause(**pause),
        )
        return connection.scalar(
            text(
                "SELECT extract(epoch FROM available_at - now())::float FROM outbox "
                "WHERE job_id = :id AND attempt = :next"
            ),
            {"id": job_id, "next": attempt + 1},
        )


def _pauses(database, job_id, count, **pause) -> list[float]:
    found = [_pause_s(database, job_id, **pause)]
    for attempt in range(2, count + 1):
        rows.claim(database, job_id, attempt)
        found.append(_pause_s(database, job_id, attempt=attempt, **pause))
    return found


def test_pauses_grow_by_the_jobs_factor_up_to_its_cap(database, tenant_id):
    retry = {"delay_s": 3.0, "factor": 4.0, "max_delay_s": 100.0, "jitter": 0.0}
    job_id = rows.running(database, tenant_id, max_attempts=9, retry=retry)
    expected = pytest.approx([3.0, 12.0, 48.0, 100.0, 100.0])
    assert _pauses(database, job_id, 5) == expected


@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    first=st.floats(0.01, 100),
    factor=st.floats(1, 10),
    cap=st.floats(0, 600),
    jitter=st.floats(0, 1),
)
def test_a_pause_lies_between_its_length_and_what_jitter_leaves_of_it(
    database, tenant_id, first, factor, cap, jitter
):
    retry = {"factor": factor, "max_delay_s": cap, "jitter": jitter}
    job_id = rows.running(database, tenant_id, max_attempts=9, retry=retry)
    for number, pause_s in enumerate(_pauses(database, job_id, 3, first_s=first)):
        longest = min(cap, first * factor**number)
        assert longest * (1 - jitter) - 1e-5 <= pause_s <= longest + 1e-5


@pytest.mark.parametrize("name", ["delay_s", "max_delay_s", "jitter"])
def test_a_policy_too_small_for_a_double_gives_the_job_back_all_the_same(
    database, tenant_id, name
):
    retry = {"delay_s": 1.0, "max_delay_s": 1.0, "jitter": 0.5, name: 5e-324}
    job_id = rows.running(database, tenant_id, max_attempts=9, retry=retry)
    assert all(0 <= pause_s <= 1 for pause_s in _pauses(database, job_id, 4))


def test_a_job_without_a_policy_doubles_the_platforms_pause_with_half_jitter(
    database, tenant_id
):
    job_id = rows.running(database, tenant_id, max_attempts=9)
    for number, pause_s in enumerate(_pauses(database, job_id, 4, first_s=8.0)):
        assert 4.0 * 2**number <= pause_s <= 8.0 * 2**number


def test_fifty_attempts_do_not_overflow_the_steepest_policy(database, tenant_id):
    job_id = rows.running(database, tenant_id, max_attempts=60, retry={"factor": 10.0})
    rows.change(database, "UPDATE jobs SET attempt = 50")
    assert 150 <= _pause_s(database, job_id, attempt=50) <= 300


def test_a_source_may_ask_for_a_longer_pause_and_not_for_a_shorter(database, tenant_id):
    retry = {"delay_s": 60.0, "jitter": 0.0}
    patient, hasty = (rows.running(database, tenant_id, retry=retry) for _ in range(2))
    assert _pause_s(database, patient, retry_after_s=900.0) == pytest.approx(900)
    assert _pause_s(database, hasty, retry_after_s=1.0) == pytest.approx(60)


def test_an_attempt_that_forebay_broke_off_costs_none(database, tenant_id):
    job_id = rows.running(database, tenant_id, max_attempts=1)
    for attempt in (1, 2, 3):
        with database.system() as connection:
            state = attempts.give_back(
                connection,
                job_id=job_id,
                attempt=attempt,
                end=attempts.End("failed", "worker_lost"),
                pause=attempts.Pause(delay_s=0.0),
                forgiven=True,
            )
        assert state == "queued"
        assert rows.claim(database, job_id, attempt + 1) is not None
    assert rows.job(database, tenant_id, job_id).forgiven == 3
    assert rows.give_back(database, job_id, attempt=4) == "failed"


def test_forgiven_attempts_do_not_lengthen_the_pauses(database, tenant_id):
    retry = {"delay_s": 2.0, "jitter": 0.0}
    job_id = rows.running(database, tenant_id, max_attempts=9, retry=retry)
    rows.change(database, "UPDATE jobs SET attempt = 5, forgiven = 4")
    assert _pause_s(database, job_id, attempt=5) == pytest.approx(2.0)
    rows.claim(database, job_id, 6)
    assert _pause_s(database, job_id, attempt=6) == pytest.approx(4.0)
