"""The arithmetic of the forecasting bench, and a tiny run on the suite's servers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bench import bare, forecasting
from bench.forecasting import Aim, Panel, Plan, Streamed
from bench.servers import Servers

TINY = Plan(series=6, rounds=1, singles=1, many=750, points=600, model="seasonal_naive")
ONE = Panel(1, 4.0, [0.5, 0.7], [11.0, 10.3], [21.0, 20.0], "points", "means")
TWO = Panel(2, 6.0, [0.6, 0.6], [12.0, 12.0], [11.0, 14.0], "points", "means")
ALONE = bare.Told([10.0, 11.5], "means")


def _values(aims) -> dict[str, float]:
    return {aim.name: aim.value for aim in aims}


def test_the_overhead_is_that_of_the_best_rounds():
    found = _values(forecasting.panel_aims(ONE, TWO, ALONE))
    assert found["overhead"] == pytest.approx(0.03)
    assert found["two beside one"] == pytest.approx(11 / 20)
    assert found["one series, 2,000 hours, cold"] == 5.0
    assert found["one series, 2,000 hours, warm"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("two", "alone", "different"),
    [
        (TWO, ALONE, 0),
        (replace(TWO, points="others"), ALONE, 1),
        (replace(TWO, means="others"), ALONE, 1),
        (TWO, replace(ALONE, means="others"), 1),
    ],
)
def test_answers_are_the_same_only_if_all_of_them_are(two, alone, different):
    found = _values(forecasting.panel_aims(ONE, two, alone))
    assert found["different answers"] == different


@pytest.mark.parametrize(
    ("value", "at_most", "met"),
    [(0.05, 0.05, True), (0.051, 0.05, False), (9.0, None, None)],
)
def test_an_aim_is_met_up_to_its_bound(value, at_most, met):
    assert Aim("overhead", value, "of CPU", at_most).met is met


def test_a_stream_is_told_by_its_rate_and_what_the_process_grew():
    one = Streamed("csv", 1_000, mib=30.0, first_s=0.1, took_s=2.0, growth_mib=70.0)
    aims = forecasting.stream_aims([one])
    assert [aim.value for aim in aims] == [15.0, 500.0, 0.1, 70.0]
    assert aims[-1].met is False


def test_the_table_has_a_line_for_each_number_and_its_verdict():
    drawn = forecasting.table([Aim("a", 0.5, "s", 0.6), Aim("b", 12_345.6, "1/s")])
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in drawn.split("\n")
    ]
    assert lines[2] == ["a", "0.500", "s", "<= 0.6", "met"]
    assert lines[3] == ["b", "12,346", "1/s", "", ""]


def test_the_bare_side_forecasts_the_parts_that_the_platform_does(tmp_path):
    months = np.arange("2016-01", "2020-01", dtype="M8[M]").astype("M8[us]")
    panel = {
        "keys": np.array(["a", "b", "c"]),
        "times": np.array([months] * 3),
        "values": np.arange(3 * 48.0).reshape(3, 48) % 12,
    }
    np.savez(tmp_path / "panel.npz", **panel)
    params = {"series": {"tag": "x"}, "horizon": 2, "model": "naive"}
    file = str(tmp_path / "panel.npz")
    order = bare.Order(file, params, frequency="MS", size=2, rounds=2)
    found = bare.run(order)
    assert len(found.cpu_s) == 2
    assert bare.run_apart(replace(order, rounds=1)).means == found.means
    other = replace(order, params={**params, "model": "seasonal_naive"})
    assert bare.run(other).means != found.means


def test_a_bare_side_that_fails_says_why(tmp_path):
    order = bare.Order(str(tmp_path / "none.npz"), {"horizon": 1}, "MS", 1, 1)
    with pytest.raises(forecasting.Refused, match="give either series or data"):
        bare.run_apart(order)


@pytest.mark.servers
@pytest.mark.slow
def test_a_tiny_run_measures_everything(
    postgres_server, rabbitmq_server, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(forecasting, "PART", 3)
    servers = Servers(postgres_server, rabbitmq_server, {})
    aims = forecasting.measure(servers, replace(TINY, many=0), folder=tmp_path)
    found = _values(aims)
    assert found["different answers"] == 0
    assert found["forecasting room alone"] > 0
    assert found["600 points as csv"] > 0
    assert json.dumps(found)
    assert "bare: CPU" in capsys.readouterr().err


@pytest.mark.servers
@pytest.mark.slow
def test_the_memory_is_seen_after_the_parts(
    postgres_server, rabbitmq_server, tmp_path, monkeypatch
):
    monkeypatch.setattr(forecasting, "PART", 25)
    monkeypatch.setattr(forecasting, "_LOOK_EVERY_S", 0.005)
    servers = Servers(postgres_server, rabbitmq_server, {})
    named = {"name": "panels_memory_tiny", "folder": tmp_path}
    with forecasting.running_course(servers, **named) as course:
        samples = forecasting.memory(course, TINY)
    assert len(samples) >= 3
    done = [one.jobs for one in samples]
    assert done == sorted(set(done))
    assert 0 < done[0] <= done[-1] <= 30
    assert min(one.total for one in samples) > 10
