"""How often a key may call, and what it is told when that is used up."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from limits import strategies
from limits.storage import memory

from tests.web.caller import Caller
from web import rates
from web.errors import TooManyRequests
from web.rates import Rates

pytestmark = pytest.mark.servers

NOON = 1_780_000_020.0
"""A whole minute, so that no window begins while a test counts."""


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The clock of the counters, which stands still; ``clock.now`` sets it."""
    found = SimpleNamespace(now=NOON)
    still = SimpleNamespace(time=lambda: found.now)
    for module in (rates, memory, strategies):
        monkeypatch.setattr(module, "time", still)
    return found


@pytest.fixture
def limited(make_app, settings, clock):
    """An application whose keys may call three times a minute."""
    return make_app(replace(settings, calls_per_minute=3))


def statuses(api: Caller, count: int) -> list[int]:
    return [api.get("/v1/jobs").status_code for _ in range(count)]


def test_the_call_after_the_last_one_allowed_is_told_when_to_come_back(
    limited, issue_key, tenant_id
):
    api = Caller(limited, issue_key(tenant_id))
    assert statuses(api, 3) == [200, 200, 200]
    refused = api.get("/v1/jobs")
    assert refused.status_code == 429
    assert refused.json["type"] == "/problems/too-many-requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert "3 times a minute" in refused.json["detail"]


def test_another_key_of_the_same_tenant_has_calls_of_its_own(
    limited, issue_key, tenant_id
):
    one, other = (Caller(limited, issue_key(tenant_id)) for _ in range(2))
    assert statuses(one, 4)[-1] == 429
    assert statuses(other, 3) == [200, 200, 200]


def test_a_refused_call_does_nothing(limited, issue_key, tenant_id, api):
    busy = Caller(limited, issue_key(tenant_id))
    statuses(busy, 3)
    answer = busy.post("/v1/jobs", json={"type": "system.echo"})
    assert answer.status_code == 429
    assert api.get("/v1/jobs").json["items"] == []


def test_open_routes_and_strangers_are_not_counted(limited, issue_key, tenant_id):
    api = Caller(limited, issue_key(tenant_id))
    statuses(api, 4)
    assert api.get("/health").status_code == 200
    assert Caller(limited, None).get("/openapi.json").status_code == 200
    assert statuses(Caller(limited, "fbk_wrong"), 5) == [401] * 5


def test_a_new_minute_brings_new_calls(limited, issue_key, tenant_id, clock):
    api = Caller(limited, issue_key(tenant_id))
    statuses(api, 3)
    wait_s = int(api.get("/v1/jobs").headers["Retry-After"])
    clock.now += wait_s - 1
    assert statuses(api, 1) == [429]
    clock.now += 61
    assert statuses(api, 1) == [200]


def test_zero_is_without_limit(make_app, settings, issue_key, tenant_id):
    app = make_app(replace(settings, calls_per_minute=0))
    assert statuses(Caller(app, issue_key(tenant_id)), 20) == [200] * 20


def test_the_minute_slides_so_that_no_two_of_them_are_used_at_once(clock):
    counted = Rates(per_minute=60)

    def taken() -> int:
        count = 0
        while count < 100:
            try:
                counted.count("key")
            except TooManyRequests:
                break
            count += 1
        return count

    clock.now += 59
    assert taken() == 60
    clock.now += 2
    assert taken() <= 2
    clock.now += 29
    assert 28 <= taken() <= 31


def test_the_counters_read_the_clock_that_the_tests_stop(clock):
    assert rates.time.time() == NOON != time.time()
