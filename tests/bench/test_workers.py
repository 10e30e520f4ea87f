"""The arithmetic of rates and memory, and a tiny run on the suite's own servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import workers
from bench.servers import Servers
from bench.workers import Plan, Rate, Sample, growth

TINY = Plan(quick=12, slow=2, jobs=12, every=4, warm_up=4)


def _samples(*mib: float) -> list[Sample]:
    return [
        Sample(number * 10, {"web": one / 4, "worker-0": 3 * one / 4})
        for number, one in enumerate(mib, start=1)
    ]


def test_growth_is_the_last_third_beside_the_first():
    found = growth(_samples(100, 102, 101, 500, 500, 500, 110, 111, 109))
    assert (found.first_mib, found.last_mib) == (101, 110)
    assert found.growth == pytest.approx(110 / 101 - 1)
    assert not found.met


@pytest.mark.parametrize(("last", "met"), [(104.9, True), (105.1, False), (50.0, True)])
def test_five_percent_more_is_still_flat(last, met):
    assert growth(_samples(100, 100, last)).met is met


@given(st.floats(1, 1e4), st.integers(3, 30))
def test_what_stays_the_same_has_no_growth(mib, count):
    found = growth(_samples(*[mib] * count))
    assert found.growth == 0
    assert found.met


def test_two_samples_have_no_thirds():
    with pytest.raises(ValueError, match="no thirds"):
        growth(_samples(1, 2))


def test_rates_stand_beside_that_of_one_worker():
    drawn = workers.rates_table([Rate(1, 100, 8), Rate(2, 150, 16)]).split("\n")
    cells = [cell.strip() for cell in drawn[3].split("|")[1:6]]
    assert cells == ["2", "150", "1.50", "16.0", "2.00"]


def test_the_memory_of_every_process_is_shown_and_judged():
    samples = _samples(100, 100, 120)
    drawn = workers.memory_table(samples, growth(samples))
    assert "| 30   | 30.0     | 90.0          | 120.0 |" in drawn
    assert drawn.endswith("+20.0%, aim <= +5%: missed")


@pytest.mark.servers
@pytest.mark.slow
def test_a_tiny_run_runs_every_job_and_sees_the_memory_of_all(
    postgres_server, rabbitmq_server, tmp_path
):
    servers = Servers(postgres_server, rabbitmq_server, {})
    samples = workers.watch(servers, TINY, folder=tmp_path)
    assert [one.jobs for one in samples] == [4, 8, 12]
    for one in samples:
        assert set(one.mib) == {"web", "dispatcher", "worker-0"}
        assert min(one.mib.values()) > 10
