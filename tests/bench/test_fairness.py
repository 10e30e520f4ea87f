"""The verdict on waits, and a tiny run on the suite's own servers."""

import pytest

from bench import fairness
from bench.fairness import ANALYSIS, OTHER, URGENT, Plan, judge
from bench.servers import Servers

TINY = Plan(forecasts=40, held=120, times=2)


def test_the_worst_wait_decides():
    lines = judge({ANALYSIS: [0.1, 0.2, 1.9], OTHER: [0.1, 0.2, 2.0], URGENT: [9.0]})
    assert [line.met for line in lines] == [True, False, None]
    assert lines[0].waits.median == 0.2


def test_the_table_shows_median_and_worst():
    drawn = fairness.table(judge({OTHER: [0.5, 1.0, 3.0]})).split("\n")
    cells = [cell.strip() for cell in drawn[2].split("|")[1:6]]
    assert cells == [OTHER, "1.00", "3.00", "< 2", "missed"]


def test_the_rows_of_the_jobs_are_hourly_and_the_same_every_time():
    rows = fairness.wave()
    assert rows == fairness.wave()
    assert [row["ds"][11:13] for row in rows[:3]] == ["00", "01", "02"]
    assert len({row["y"] for row in rows[:12]}) > 6


@pytest.mark.servers
@pytest.mark.slow
def test_a_tiny_run_measures_every_wait(postgres_server, rabbitmq_server, tmp_path):
    servers = Servers(postgres_server, rabbitmq_server, {})
    waits = fairness.beside_a_tenant(servers, TINY, folder=tmp_path)
    assert [len(each_s) for each_s in waits.values()] == [2, 2]
    # Those that came first still wait when it is over, or the run would have failed.
    for each_s in waits.values():
        assert 0 < min(each_s) <= max(each_s) < TINY.held * 0.2
