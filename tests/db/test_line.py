"""Who goes next: shares, lanes, limits and pauses."""

import itertools
import threading

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from db import limits
from tests.db import lines, rows
from tests.db.naive import NaiveLine

pytestmark = pytest.mark.servers

ARRIVAL = st.tuples(
    st.integers(0, 2),  # tenant
    st.sampled_from(["normal", "normal", "backfill"]),
    st.sampled_from(["t1", "t2", "t3"]),
    st.sampled_from([5, 5, 5, 9]),
)
TURN = st.just(None)
COSTS = st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0])
WEIGHTS = st.sampled_from([0.5, 1.0, 2.0, 4.0])


class Service:
    """The line in the database beside the naive one, and what each tenant got."""

    def __init__(self, database, weights, costs):
        self.database = database
        self.whose = lines.tenants(database, *weights)
        lines.costs(database, **costs)
        self.weights, self.costs = weights, costs
        self.naive = NaiveLine(dict(enumerate(weights)), lines.SHARE)
        self.numbers = itertools.count()
        self.job_ids = {}
        self.waiting = {}
        self.served = []

    def add(self, who, lane, kind, priority):
        number = next(self.numbers)
        job_id = rows.queued(
            self.database, self.whose[who], type=kind, lane=lane, priority=priority
        )
        self.job_ids[job_id] = (who, lane, number)
        self.waiting[number] = (who, lane)
        self.naive.add(who, lane, number, cost=self.costs[kind], priority=priority)

    def serve(self):
        taken = lines.turn(self.database)
        expected = self.naive.take()
        assert [self.job_ids[one.job_id] for one in taken] == (
            [] if expected is None else [expected]
        )
        for one in taken:
            who, lane, number = self.job_ids[one.job_id]
            backlogged = set(self.waiting.values())
            del self.waiting[number]
            self.served.append((backlogged, (who, lane), self.costs[one.type]))
            assert rows.claim(self.database, one.job_id) is not None
            rows.finish(self.database, one.job_id, result={})
        return bool(taken)


def _gaps(served, one, other, rates):
    """How far two flows' normalised service drifts apart while both have work."""
    for first in range(len(served)):
        got = {one: 0.0, other: 0.0}
        for backlogged, whose, cost in served[first:]:
            if not {one, other} <= backlogged:
                break
            if whose in got:
                got[whose] += cost / rates[whose]
            yield abs(got[one] - got[other])


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(
    steps=st.lists(st.one_of(ARRIVAL, TURN), min_size=5, max_size=40),
    weights=st.tuples(WEIGHTS, WEIGHTS, WEIGHTS),
    costs=st.fixed_dictionaries({"t1": COSTS, "t2": COSTS, "t3": COSTS}),
)
@example(
    steps=[(0, "normal", "t1", 5)] * 8 + [None] * 4 + [(1, "normal", "t2", 5)] * 4,
    weights=(1.0, 1.0, 1.0),
    costs={"t1": 1.0, "t2": 2.0, "t3": 1.0},
)
def test_no_tenant_waits_for_more_than_its_fair_share_and_a_job(
    database, steps, weights, costs
):
    _empty(database)
    service = Service(database, weights, costs)
    for step in steps:
        if step is None:
            service.serve()
        else:
            service.add(*step)
    while service.serve():
        pass
    assert not service.waiting
    for lane in ("normal", "backfill"):
        flows = [(who, lane) for who in range(3)]
        rates = {flow: weights[flow[0]] for flow in flows}
        largest = {flow: max(costs.values()) / rates[flow] for flow in flows}
        for one, other in itertools.combinations(flows, 2):
            within = [
                turn for turn in service.served if turn[1][1] == lane
            ]  # a lane's tenants share what the lane gets
            bound = largest[one] + largest[other] + 1e-9
            assert all(gap <= bound for gap in _gaps(within, one, other, rates))


@settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    weights=st.tuples(WEIGHTS, WEIGHTS),
    costs=st.fixed_dictionaries({"t1": COSTS, "t2": COSTS}),
)
def test_tenants_that_begin_together_are_never_more_than_one_job_apart(
    database, weights, costs
):
    _empty(database)
    service = Service(database, weights, costs)
    for _ in range(12):
        service.add(0, "normal", "t1", 5)
        service.add(1, "normal", "t2", 5)
    got = [0.0, 0.0]
    bound = max(costs["t1"] / weights[0], costs["t2"] / weights[1])
    for _ in range(12):
        service.serve()
        _, (who, _), cost = service.served[-1]
        got[who] += cost / weights[who]
        if len({whose for whose, _ in service.waiting.values()}) == 2:
            assert abs(got[0] - got[1]) <= bound + 1e-9


def _empty(database):
    for table in ("job_results", "job_events", "outbox", "jobs", "flows", "pace"):
        rows.change(database, f"DELETE FROM {table}")


def _whose(taken):
    return [one.tenant_id for one in taken]


def _turns(database, count):
    return [one.tenant_id for _ in range(count) for one in lines.turn(database)]


def test_a_weight_of_three_gets_three_turns_for_one(database):
    light, heavy = lines.tenants(database, 1.0, 3.0)
    for _ in range(9):
        rows.queued(database, light)
        rows.queued(database, heavy)
    went = _turns(database, 12)
    assert (went.count(light), went.count(heavy)) == (3, 9)


def test_long_jobs_cost_their_tenant_more_turns(database):
    short, long = lines.tenants(database, 1.0, 1.0)
    lines.costs(database, short=1.0, long=4.0)
    for _ in range(10):
        rows.queued(database, short, type="short")
        rows.queued(database, long, type="long")
    went = _turns(database, 10)
    assert (went.count(short), went.count(long)) == (8, 2)


def test_one_batch_is_as_fair_as_turns_one_by_one(database):
    first, second, third = lines.tenants(database, 1.0, 2.0, 1.0)
    for _ in range(12):
        rows.queued(database, first)
    for _ in range(12):
        rows.queued(database, second)
    went = _whose(lines.turn(database, most=9))
    assert (went.count(first), went.count(second)) == (3, 6)
    for _ in range(4):
        rows.queued(database, third)
    went = _whose(lines.turn(database, most=8))
    assert [went.count(one) for one in (first, second, third)] == [2, 4, 2]


def test_backfills_get_their_share_and_no_more_while_there_is_other_work(
    database, tenant_id
):
    for lane in ("backfill", "normal"):
        for _ in range(20):
            rows.queued(database, tenant_id, lane=lane)
    went = [one.lane for _ in range(16) for one in lines.turn(database)]
    assert went.count("backfill") == 16 * lines.SHARE


def test_backfills_get_everything_while_nothing_else_waits(database, tenant_id):
    for _ in range(5):
        rows.queued(database, tenant_id, lane="backfill")
    assert len(lines.turn(database, most=9)) == 5
    rows.queued(database, tenant_id, lane="backfill")
    urgent = rows.queued(database, tenant_id)
    assert [one.job_id for one in lines.turn(database)] == [urgent]


def test_a_tenant_that_was_idle_comes_back_without_credit(database):
    idle, busy = lines.tenants(database, 1.0, 1.0)
    rows.queued(database, idle)
    for _ in range(40):
        rows.queued(database, busy)
    lines.turn(database, most=31)  # thirty turns in which the idle one asked for none
    for _ in range(10):
        rows.queued(database, idle)
    went = _turns(database, 8)
    assert (went.count(idle), went.count(busy)) == (4, 4)


def test_a_newcomer_is_next_whatever_another_has_queued(database):
    hoarder, newcomer = lines.tenants(database, 1.0, 1.0)
    job_id = rows.queued(database, hoarder)
    rows.change(
        database,
        "INSERT INTO outbox (tenant_id, job_id, attempt, type, queue, priority, "
        "available_at) SELECT tenant_id, job_id, n, type, queue, 9, available_at "
        "FROM outbox, generate_series(2, 10000) AS n WHERE job_id = :id",
        id=job_id,
    )
    lines.turn(database, most=5)
    mine = rows.queued(database, newcomer, priority=0)
    assert [one.job_id for one in lines.turn(database)] == [mine]


def test_priorities_count_inside_a_tenant_and_not_between_tenants(database):
    pushy, modest = lines.tenants(database, 1.0, 1.0)
    usual = rows.queued(database, pushy)
    urgent = rows.queued(database, pushy, priority=9)
    other = rows.queued(database, modest, priority=0)
    went = [one.job_id for one in lines.turn(database, most=3)]
    assert went.index(urgent) < went.index(usual)
    assert went.index(other) < went.index(usual)


def test_no_more_of_a_tenant_run_than_its_limit_in_all_queues(database, tenant_id):
    lines.limit(database, tenant_id, max_running=3)
    rows.running(database, tenant_id, queue="forecast")
    rows.change(database, "DELETE FROM outbox")
    for lane in ("normal", "backfill", "normal"):
        rows.queued(database, tenant_id, lane=lane)
    first = lines.turn(database, most=9)
    assert len(first) == 2
    assert lines.turn(database, most=9) == []
    for one in first:
        rows.claim(database, one.job_id)
    assert lines.turn(database, most=9) == []
    rows.finish(database, first[0].job_id, result={})
    assert len(lines.turn(database, most=9)) == 1


def test_a_full_tenant_does_not_hold_up_another(database, tenant_id, other_tenant_id):
    lines.limit(database, tenant_id, max_running=0)
    rows.queued(database, tenant_id)
    rows.queued(database, other_tenant_id)
    assert _whose(lines.turn(database, most=9)) == [other_tenant_id]


def test_a_parent_that_waits_for_its_parts_takes_none_of_the_tenants_slots(
    database, tenant_id
):
    lines.limit(database, tenant_id, max_running=1)
    parent = rows.running(database, tenant_id)
    rows.change(database, "DELETE FROM outbox")
    rows.change(database, "UPDATE jobs SET step = 'parts'")
    part = rows.queued(database, tenant_id, parent_id=parent, step="part", part=0)
    assert [one.job_id for one in lines.turn(database)] == [part]


def _pass_time(database, seconds):
    rows.change(
        database,
        "UPDATE tenant_limits SET tokens_at = tokens_at - :s * interval '1 second'",
        s=seconds,
    )


def test_starts_in_a_minute_are_limited_with_a_small_burst(database, tenant_id):
    lines.limit(database, tenant_id, starts_per_minute=60)
    for _ in range(20):
        rows.queued(database, tenant_id)
    assert len(lines.turn(database, most=9)) == 6
    assert lines.turn(database, most=9) == []
    _pass_time(database, 2)
    assert len(lines.turn(database, most=9)) == 2
    _pass_time(database, 3_600)
    assert len(lines.turn(database, most=9)) == 6


def test_tokens_that_two_queues_spent_at_once_are_no_fault(database, tenant_id):
    lines.limit(database, tenant_id, starts_per_minute=60)
    rows.queued(database, tenant_id)
    rows.change(database, "UPDATE tenant_limits SET tokens = -3, tokens_at = now()")
    assert lines.turn(database) == []
    _pass_time(database, 5)
    assert len(lines.turn(database)) == 1


def test_a_paused_queue_waits_and_the_tenants_others_go_on(
    database, tenant_id, other_tenant_id
):
    with database.tenant(tenant_id) as connection:
        limits.pause(connection, tenant_id=tenant_id, queue="system", paused_by="key_1")
    mine = rows.queued(database, tenant_id)
    elsewhere = rows.queued(database, tenant_id, queue="forecast")
    theirs = rows.queued(database, other_tenant_id)
    assert [one.job_id for one in lines.turn(database, most=9)] == [theirs]
    went = lines.turn(database, most=9, queue="forecast")
    assert [one.job_id for one in went] == [elsewhere]
    with database.tenant(tenant_id) as connection:
        limits.resume(connection, tenant_id=tenant_id, queue="system")
    assert [one.job_id for one in lines.turn(database, most=9)] == [mine]


def test_types_that_take_no_time_cannot_keep_others_from_their_turn(database):
    quick, other = lines.tenants(database, 1.0, 1.0)
    lines.costs(database, quick=0.0)
    rows.queued(database, other)
    lines.turn(database)
    for _ in range(3):
        rows.queued(database, quick, type="quick")
    rows.queued(database, other)
    lines.turn(database, most=3)
    clock = rows.value(
        database, "SELECT max(vtime) FROM flows WHERE tenant_id = :t", t=quick
    )
    assert clock > 0


def test_of_takers_at_once_each_message_goes_to_one(database, tenant_id):
    job_ids = [rows.queued(database, tenant_id) for _ in range(30)]
    went: list[list[str]] = [[], []]
    together = threading.Barrier(2)

    def work(mine: list[str]) -> None:
        for _ in range(40):
            together.wait(30)
            mine += [one.job_id for one in lines.turn(database)]

    threads = [threading.Thread(target=work, args=(mine,)) for mine in went]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(went[0] + went[1]) == job_ids
