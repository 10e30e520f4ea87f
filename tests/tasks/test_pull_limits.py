"""What all workers keep together: the rate limit, its rest, the breaker, siblings."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db import rate_limits, sources
from ingest.contract import Limits
from ingest.exchange import RateLimited, Request
from tasks import outside, pull, pull_gate
from tasks.errors import SourceRefused, SourceUnavailable
from tasks.source_plan import opened
from tests.sources.eia import ROUTE, Eia
from tests.sources.faults import FaultPlan
from tests.sources.server import Reply, serve
from tests.sources.table import Table
from tests.sources.truth import DAY, START, Truth, grid
from tests.tasks.source_runs import desk

__all__ = ["desk"]

pytestmark = pytest.mark.servers

NIGHT = datetime(2026, 1, 4, tzinfo=UTC)
SLOW = Limits(per_second=1.0, burst=1.0)


def shared(desk, credential_id, limits=SLOW):
    return outside.Shared(desk.attempt(), limits, credential_id=credential_id)


def table(desk, url, name="load", *, credential=None, **config):
    layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
    config = {
        "base_url": f"{url}/whole.csv",
        "format": "csv",
        "layout": layout,
        **config,
    }
    desk.source(
        name, "http_table", config, credential=credential, since=START.isoformat()
    )


def scopes(desk):
    with desk.database.system() as connection:
        return set(connection.scalars(text("SELECT scope FROM rate_limits")))


def credential_id(desk, name):
    return desk.rows("SELECT id FROM credentials WHERE name = :name", name=name)[0][0]


@pytest.fixture
def truth() -> Truth:
    return Truth(5, starts=grid(START, 48), revised=0.0)


def test_sources_with_one_credential_share_one_bucket_whatever_it_is_called(
    desk, truth
):
    desk.credential("keys", api_key="x")
    with serve(Table(truth)) as served:
        table(desk, served.url, "one", credential="keys")
        table(desk, served.url, "two", credential="keys")
        desk.run("one", now=NIGHT)
        first = scopes(desk)
        desk.run("two", now=NIGHT)
        with desk.database.tenant(desk.tenant_id) as connection:
            connection.execute(text("UPDATE sources SET credential = NULL"))
            connection.execute(text("UPDATE credentials SET name = 'others'"))
        host = served.url.removeprefix("http://")
    assert scopes(desk) == first
    found = credential_id(desk, "others")
    assert first == {rate_limits.scope_of(host, credential_id=found)}


def test_tenants_with_credentials_of_one_name_have_a_bucket_each(
    desk, truth, other_tenant_id
):
    other = replace(desk, tenant_id=other_tenant_id)
    with serve(Table(truth)) as served:
        for one in (desk, other):
            one.credential("keys", api_key="x")
            table(one, served.url, credential="keys")
            one.run("load", now=NIGHT)
    assert len(scopes(desk)) == 2


def test_who_asks_without_a_credential_shares_the_bucket_of_the_address(desk, truth):
    with serve(Table(truth)) as served:
        table(desk, served.url, "one")
        table(desk, served.url, "two")
        desk.run("one", now=NIGHT)
        desk.run("two", now=NIGHT)
    assert len(scopes(desk)) == 1


class Tired(Table):
    """Wants a pause of two minutes from its first call on."""

    def answer(self, call):  # noqa: ARG002 - it is the same for all
        return Reply(429, b"slow down", {"Retry-After": "120"})


def test_a_source_that_wants_a_rest_gets_it_from_all_workers(desk, truth):
    with serve(Tired(truth)) as served:
        table(desk, served.url)
        table(desk, served.url, "another")
        with pytest.raises(SourceRefused, match="rate_limited"):
            desk.run("load", now=NIGHT, tries=1)
        assert len(served.calls) == 1
        with pytest.raises(SourceRefused, match="it rests"):
            desk.run("another", now=NIGHT, tries=3)
        assert len(served.calls) == 1


def test_a_rest_is_waited_for_by_the_platform_and_not_by_a_worker(desk, truth):
    with serve(Tired(truth)) as served:
        table(desk, served.url)
        context = desk.attempt(now=NIGHT, final=False)
        with pytest.raises(SourceUnavailable) as caught:
            pull_part(desk, context)
    assert 60 < caught.value.retry_after_s <= 120


def pull_part(desk, context, name="load"):
    one = opened(context, name=name)
    (partition,) = one.connector.plan(START, NIGHT)
    return pull.pull(one, partition, context, pull.Wanted())


def test_a_used_up_limit_is_no_rest_of_the_source(desk):
    limits = Limits(per_second=0.001, burst=1.0)
    first, second = shared(desk, "crd_1", limits), shared(desk, "crd_1", limits)
    first.take(Request("https://a.test/x"))
    with pytest.raises(RateLimited):
        second.take(Request("https://a.test/x"))
    assert second.used_up
    query = text("SELECT cooldown_until FROM rate_limits")
    with desk.database.system() as connection:
        assert connection.scalar(query) is None


def test_a_request_that_never_fits_into_a_day_is_not_sent(desk, truth, monkeypatch):
    limits = Limits(per_second=1.0, per_day=0.5)
    with serve(Table(truth)) as served:
        table(desk, served.url)
        kind = "ingest.connectors.http_table.HttpTable.spec"
        spec = opened(desk.attempt(), name="load").spec
        monkeypatch.setattr(kind, replace(spec, limits=limits))
        with pytest.raises(SourceRefused, match="never fits"):
            desk.run("load", now=NIGHT, tries=2)
        assert served.calls == []


def failures(desk):
    return desk.rows("SELECT failures, open_until FROM sources")[0]


@pytest.fixture
def dead(desk, truth, at_once):
    """A source of which every answer is an error, until ``mend`` is called."""
    plan = FaultPlan(dict.fromkeys(range(1, 1_000), "500"))
    with serve(Table(truth), plan) as served:
        table(desk, served.url)
        yield served


@pytest.fixture
def at_once(monkeypatch):
    take = rate_limits.take

    def quick(connection, *, scope, rate, **given):
        slow = rate[0] < 0.1  # the turn of a half-open breaker
        return take(connection, scope=scope, rate=rate, **given) if slow else 0.0

    monkeypatch.setattr(rate_limits, "take", quick)


def fail(desk, times, now=NIGHT):
    for _ in range(times):
        with pytest.raises(SourceUnavailable):
            pull_part(desk, desk.attempt(now=now, final=False))


def test_five_failures_open_the_breaker_and_nothing_is_asked_any_more(desk, dead):
    fail(desk, 4)
    assert failures(desk) == (4, None)
    fail(desk, 1)
    assert failures(desk) == (5, NIGHT + timedelta(minutes=5))
    asked = len(dead.calls)
    with pytest.raises(SourceUnavailable, match="left alone until") as caught:
        pull_part(desk, desk.attempt(now=NIGHT + timedelta(minutes=1), final=False))
    assert caught.value.retry_after_s == pytest.approx(240.0)
    assert len(dead.calls) == asked


def test_the_last_attempt_at_an_open_breaker_fails_without_asking(desk, dead):
    fail(desk, 5)
    asked = len(dead.calls)
    with pytest.raises(SourceRefused, match="left alone until"):
        desk.run("load", now=NIGHT + timedelta(minutes=1), tries=3)
    assert len(dead.calls) == asked


def test_after_five_minutes_one_attempt_tries_and_the_others_wait(desk, dead):
    fail(desk, 5)
    later = NIGHT + timedelta(minutes=5)
    one = opened(desk.attempt(), name="load")
    pull_gate.check_breaker(one, desk.attempt(now=later, final=False))
    with pytest.raises(SourceUnavailable):
        pull_gate.check_breaker(one, desk.attempt(now=later, final=False))
    in_a_minute = later + timedelta(minutes=1)
    pull_gate.check_breaker(one, desk.attempt(now=in_a_minute, final=False))


def test_a_half_open_breaker_closes_with_a_success(desk, dead):
    fail(desk, 5)
    dead.plan.by_call = {}
    result = desk.run("load", now=NIGHT + timedelta(minutes=5), tries=1)
    assert result["state"] == "succeeded"
    assert failures(desk) == (0, None)


def test_a_half_open_breaker_opens_for_twice_as_long_with_a_failure(desk, dead):
    fail(desk, 5)
    later = NIGHT + timedelta(minutes=5)
    fail(desk, 1, now=later)
    assert failures(desk) == (6, later + timedelta(minutes=10))


def test_what_is_no_failure_of_the_source_opens_no_breaker(desk, truth, at_once):
    with serve(Tired(truth)) as served:
        table(desk, served.url)
        fail(desk, 6)
    assert failures(desk) == (0, None)
    assert sources.MOST_FAILURES == 5


LASTING = {
    "auth": Reply(403, b"who are you?"),
    "config": Reply(400, b'{"error": "Invalid facet", "code": 400}'),
    "schema_drift": Reply(200, b'{"response": {"data": [{"surprise": 1}]}}'),
}


@pytest.mark.parametrize("cls", LASTING)
def test_what_no_retry_mends_stops_the_other_partitions(cls, desk, at_once):
    long = Truth(5, series=("PJM:D",), starts=grid(START, 24 * 100), revised=0.0)

    class Broken(Eia):
        def answer(self, call):  # noqa: ARG002 - it is the same for all
            return LASTING[cls]

    with serve(Broken(long)) as served:
        config = {"route": ROUTE, "frequency": "hourly", "base_url": f"{served.url}/v2"}
        desk.credential("keys", api_key="x")
        desk.source("load", "eia", config, credential="keys", since=START.isoformat())
        with pytest.raises(SourceRefused, match=cls) as caught:
            desk.run("load", now=START + 100 * DAY, tries=3)
        assert len(served.calls) == 1
    assert caught.value.why == cls
    states = desk.rows("SELECT reason, detail LIKE 'not asked%' FROM source_windows")
    assert len(states) > 2
    assert {reason for reason, _ in states} == {cls}
    assert sorted(told for _, told in states) == [False] + [True] * (len(states) - 1)
