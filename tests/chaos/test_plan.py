"""The plan is the same for the same seed, and has all that was asked for."""

from collections import Counter

import pytest

from tests.chaos import plan


def test_a_seed_gives_the_same_plan_again_and_another_seed_another():
    first = plan.make_plan(7, jobs=1_000, faults=50)
    assert first == plan.make_plan(7, jobs=1_000, faults=50)
    assert first != plan.make_plan(8, jobs=1_000, faults=50)


def test_every_kind_strikes_at_least_once():
    found = plan.make_plan(3, jobs=100, faults=len(plan.KINDS))
    assert Counter(fault.kind for fault in found) == dict.fromkeys(plan.KINDS, 1)


def test_faults_are_spread_over_the_jobs_in_order():
    found = plan.make_plan(1, jobs=10_000, faults=200)
    places = [fault.after for fault in found]
    assert len(found) == 200
    assert places == sorted(places)
    assert places[0] < 10_000 / 100
    assert 9_800 < places[-1] < 10_000


def test_frequent_kinds_come_more_often_than_rare_ones():
    counted = Counter(one.kind for one in plan.make_plan(5, jobs=10, faults=5_000))
    assert counted["kill child"] > 2 * counted["kill database"]


def test_a_paused_worker_sleeps_longer_than_its_lease():
    found = plan.make_plan(11, jobs=10, faults=2_000)
    for kind in ("pause child", "pause worker"):
        assert min(one.hold_s for one in found if one.kind == kind) > plan.LEASE_S


def test_a_plan_of_some_kinds_has_no_others():
    found = plan.make_plan(2, jobs=300, faults=30, kinds=plan.CHEAP)
    assert {fault.kind for fault in found} == set(plan.CHEAP)


@pytest.mark.parametrize("kinds", [("earthquake",) * 2, plan.KINDS])
def test_a_plan_that_cannot_be_drawn_is_refused(kinds):
    with pytest.raises(ValueError, match=r"unknown|too few"):
        plan.make_plan(1, jobs=10, faults=2, kinds=kinds)
