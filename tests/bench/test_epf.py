import numpy as np
import pandas as pd
import pytest

from bench import epf
from tests.forecasting.days_ahead import drivers
from tests.forecasting.synthetic import hours

DAYS = 180
FIRST = 170


@pytest.fixture
def folder(tmp_path):
    count = 24 * DAYS
    load, wind = drivers(count).T
    rng = np.random.default_rng(1)
    price = 0.8 * load - 0.5 * wind + rng.normal(size=count)
    table = pd.DataFrame(
        {
            "ds": hours(count),
            "price": price,
            "load": load,
            "wind": wind,
            "dnn_ens": price + 1.0,
            "lear56": price,
            "lear_ens": price - 2.0,
            "is_test": np.arange(count) >= 24 * FIRST,
        }
    )
    for market in epf.MARKETS:
        table.to_csv(tmp_path / f"epf_{market}.csv.gz", index=False)
    return tmp_path


def test_a_case_knows_nothing_of_its_day_but_the_covariates(folder):
    market = epf.Market.read(folder / "epf_NP.csv.gz")
    case = market.case(FIRST)
    assert market.first == FIRST
    assert case.history.size == len(case.context.times) == 24 * FIRST
    assert case.context.names == ("load", "wind")
    assert case.context.future_covariates.shape == (24, 2)
    assert case.context.future_times[0] == market.times[24 * FIRST]


def test_a_blend_weighs_by_the_days_before_and_not_by_the_day():
    actual = np.zeros((60, 24))
    made = {"good": np.full((60, 24), 1.0), "bad": np.full((60, 24), -3.0)}
    blend = epf.blended(made, actual)
    assert blend[0] == pytest.approx(-1.0)
    assert blend[1:] == pytest.approx((9 * 1.0 - 3.0) / 10)
    made["bad"][40] = 0.0
    changed = epf.blended(made, actual)
    assert changed[:40].tobytes() == blend[:40].tobytes()
    assert changed[40] == pytest.approx(0.9)


def test_both_markets_are_walked_through_beside_what_was_published(
    folder, capsys, monkeypatch
):
    monkeypatch.setattr(epf, "MEMBERS", ("kernel", "linear"))
    epf.main(["--data", str(folder), "--days", "2"])
    printed = capsys.readouterr().out
    assert "NP, 2 days from 2024-06-19" in printed
    assert "PJM, 2 days from 2024-06-19" in printed
    lines = [line for line in printed.splitlines() if "|" in line]
    rows = {line.split("|")[1].strip(): line for line in lines}
    assert {*epf.MEMBERS, "blend", "lear_ens", "dnn_ens"} < rows.keys()
    assert "| 2.000 |" in rows["lear_ens"]
    assert "| 0.500 |" in rows["mean of both"]


def test_the_year_before_is_judged_without_published_figures(folder, monkeypatch):
    monkeypatch.setattr(epf, "MEMBERS", ("kernel",))
    market = epf.Market.read(folder / "epf_NP.csv.gz")
    rows = epf.measured(market, range(FIRST - 3, FIRST))
    assert [row[0] for row in rows] == ["kernel", "blend"]
    assert rows[0][1] == pytest.approx(rows[1][1])
    assert 0 < rows[0][1] < 2
