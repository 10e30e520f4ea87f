"""Limits that all workers share: never more than allowed, whoever asks at once."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from db import rate_limits
from db.session import Database

pytestmark = pytest.mark.servers

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
SCOPE = rate_limits.scope_of("api.example", credential_id=None)


@pytest.fixture
def take(database):
    """Take from the bucket of a scope: ``take(seconds after noon, ...)``."""

    def run(
        at_s: float, *, cost=1.0, rate=(1.0, 1.0, None), scope=SCOPE, **given
    ) -> float:
        now = given.get("now", NOON + timedelta(seconds=at_s))
        with database.system() as connection:
            return rate_limits.take(
                connection, scope=scope, cost=cost, rate=rate, now=now
            )

    return run


@pytest.fixture
def cool_down(database):
    def run(until: datetime) -> None:
        with database.system() as connection:
            rate_limits.cool_down(connection, scope=SCOPE, until=until)

    return run


def test_a_scope_is_a_host_and_as_whom_it_is_asked():
    asked = [
        ("api.example", None),
        ("api.example", "crd_1"),
        ("api.example", "crd_2"),
        ("other.example", None),
    ]
    scopes = [rate_limits.scope_of(host, credential_id=one) for host, one in asked]
    assert len(set(scopes)) == 4
    assert all(len(scope) == 32 for scope in scopes)
    assert "crd_1" not in scopes[1]
    assert rate_limits.scope_of("API.Example", credential_id=None) == scopes[0]


def test_what_is_refused_says_when_it_will_fit_and_takes_nothing(take):
    assert take(0) == 0
    assert take(0) == 1
    assert take(0.25) == 0.75
    assert take(0.25) == 0.75
    assert take(1) == 0


def test_a_burst_is_granted_at_once_and_paid_back(take):
    rate = (2.0, 3.0, None)
    assert [take(0, rate=rate) for _ in range(4)] == [0, 0, 0, 0.5]
    assert take(0.5, rate=rate) == 0
    assert [take(60, rate=rate) for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_cost_above_the_burst_needs_a_full_bucket_and_is_paid_afterwards(take):
    assert take(0, cost=5) == 0
    assert take(0) == 5
    assert take(5) == 0
    assert take(5, cost=5) == 1


def test_scopes_do_not_share(take):
    other = rate_limits.scope_of("api.example", credential_id="crd_1")
    assert take(0) == 0
    assert take(0, scope=other) == 0
    assert take(0) == take(0, scope=other) == 1


def test_a_day_s_budget_ends_at_midnight_in_utc(take):
    rate = (1_000.0, 1_000.0, 3.0)
    assert [take(0, rate=rate) for _ in range(3)] == [0, 0, 0]
    assert take(0, rate=rate) == 12 * 3_600
    assert take(0, rate=rate, now=MIDNIGHT - timedelta(seconds=1)) == 1
    assert take(0, rate=rate, now=MIDNIGHT) == 0
    # A worker whose clock is behind does not bring yesterday's budget back.
    late = MIDNIGHT - timedelta(seconds=0.5)
    seen = [take(0, rate=rate, now=late) for _ in range(3)]
    assert seen == [0, 0, 24 * 3_600 + 0.5]


def test_a_cost_that_no_day_has_room_for_is_an_error(take):
    with pytest.raises(ValueError, match="never fits into 3"):
        take(0, cost=4, rate=(1.0, 1.0, 3.0))


def test_a_cool_down_holds_for_all_and_never_becomes_shorter(take, cool_down):
    cool_down(NOON + timedelta(seconds=600))
    cool_down(NOON + timedelta(seconds=60))
    assert take(0) == 600
    assert take(599) == 1
    assert take(600) == 0
    cool_down(NOON + timedelta(seconds=610))
    assert take(602) == 8


def test_workers_at_once_are_granted_no_more_than_the_limit(database_url):
    per_second, burst, per_day = 50.0, 5.0, 120.0
    granted: list[datetime] = []

    def work(number: int) -> None:
        # A clock of its own for each worker, a little off, that its waits move on.
        database = Database(database_url, pool_size=1, name=f"worker {number}")
        now = NOON + timedelta(milliseconds=number)
        wait_s = 0.0
        while wait_s < 3_600:
            now += timedelta(seconds=wait_s)
            with database.system(durable=False) as connection:
                wait_s = rate_limits.take(
                    connection,
                    scope=SCOPE,
                    cost=1,
                    rate=(per_second, burst, per_day),
                    now=now,
                )
            if wait_s == 0:
                granted.append(now)
        database.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    times = sorted(granted)
    assert len(times) == per_day
    for first, begin in enumerate(times):
        for count, end in enumerate(times[first:], start=1):
            length_s = (end - begin).total_seconds()
            assert count <= burst + length_s * per_second + 1e-3
