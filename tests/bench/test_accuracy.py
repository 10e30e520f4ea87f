"""The accuracy bench: loaders, scores and the page, against hand-made numbers."""

import json

import numpy as np
import pandas as pd
import pytest

from bench.accuracy import __main__ as command
from bench.accuracy import auto, baselines, kept, prices, recursive, report
from bench.accuracy.competitions import m3, m4_weekly
from bench.accuracy.measure import Plan, measure
from bench.accuracy.naive2 import is_seasonal, naive2, seasonal_indices
from bench.accuracy.rolling import Cutoffs, m5_sample, pjm_hourly
from bench.accuracy.scores import cover, owa, score, weighted_quantile_loss
from bench.accuracy.windows import (
    LEVELS,
    Collection,
    Cut,
    Forecasts,
    Window,
    synthetic_times,
)

WHOLE = Cut()


def window(name, history, actual, **more):
    times = synthetic_times(len(history), "D", start="2000-01-01")
    return Window(
        unique_id=name,
        history=np.array(history, dtype=float),
        times=times,
        actual=np.array(actual, dtype=float),
        **more,
    )


def collection(*windows, **more):
    wish = {
        "name": "x",
        "title": "X",
        "frequency": "D",
        "season": 1,
        "scale_season": 1,
        "horizon": windows[0].actual.size,
        "metric": "OWA",
        "panels": (windows,),
        "told": "made up",
    }
    return Collection(**(wish | more))


def flat(levels, horizon):
    return np.repeat(np.array(levels, dtype=float)[:, None], horizon, axis=1)


def test_owa_is_the_mean_of_both_ratios():
    told = owa(smape=12.0, mase=1.5, naive2_smape=15.0, naive2_mase=3.0)
    assert told == pytest.approx((0.8 + 0.5) / 2)


def test_scores_equal_the_hand_calculation_of_m4():
    # Scales: mean absolute step 1 and 2. Errors of the mean: (1, 1) and (2, 0).
    one = window("a", [1, 2, 3, 4], [4, 4])
    two = window("b", [2, 4, 2, 4], [6, 4])
    mean = np.array([[5.0, 3.0], [4.0, 4.0]])
    reference = np.array([[2.0, 2.0], [2.0, 2.0]])
    nothing = np.full((2, len(LEVELS), 2), np.nan)
    found = score(collection(one, two), Forecasts(mean, nothing, 0.0), naive2=reference)
    smape_a = (200 * 1 / 9 + 200 * 1 / 7) / 2
    smape_b = (200 * 2 / 10 + 0) / 2
    assert found["sMAPE"] == pytest.approx((smape_a + smape_b) / 2)
    assert found["MASE"] == pytest.approx((1 / 1 + 1 / 2) / 2)
    assert found["MAE"] == pytest.approx(1.0)
    assert found["RMSSE"] == pytest.approx((1 + np.sqrt(2) / 2) / 2)
    reference_smape = (200 * 2 / 6 + (200 * 4 / 8 + 200 * 2 / 6) / 2) / 2
    reference_mase = (2 / 1 + 3 / 2) / 2
    expected = (found["sMAPE"] / reference_smape + found["MASE"] / reference_mase) / 2
    assert found["OWA"] == pytest.approx(expected)
    assert np.isnan(found["WQL"])
    assert np.isnan(found["cover80"])


def test_the_quantile_loss_pools_all_points():
    # Every level says 1; the truth is 3 and 1: twice the mean level times 2, over 4.
    quantiles = np.ones((2, len(LEVELS), 1))
    told = weighted_quantile_loss(np.array([[3.0], [1.0]]), quantiles)
    assert told == pytest.approx(2 * 0.5 * 2 / 4)


def test_coverage_counts_its_ends_and_leaves_unknown_steps_out():
    actual = np.array([[0.0, 9.0, 10.0, np.nan]])
    quantiles = flat(np.linspace(0, 10, len(LEVELS)), 4)[None]
    assert cover(actual, quantiles, ends=(0.025, 0.975)) == pytest.approx(1.0)
    assert cover(actual, quantiles, ends=(0.1, 0.9)) == pytest.approx(1 / 3)


def test_naive2_puts_the_season_back():
    history = np.tile([1.0, 2.0, 3.0, 2.0], 6)
    assert is_seasonal(history, season=4)
    assert naive2(history, season=4, horizon=5) == pytest.approx([1, 2, 3, 2, 1])
    assert seasonal_indices(history, season=4) == pytest.approx([0.5, 1, 1.5, 1])


@pytest.mark.parametrize("history", [[3.0, 1.0, 2.0], [5.0] * 12, [0.0, 4.0] * 6])
def test_naive2_is_the_naive_where_no_season_can_be_told(history):
    assert (naive2(np.array(history), season=2, horizon=3) == history[-1]).all()


def test_the_windows_of_validation_end_before_the_first_test_window_begins():
    cutoffs = Cutoffs(horizon=5, count=3, apart=10)
    test = cutoffs.ends(100, validation=False)
    assert test == [80, 90, 100]
    assert cutoffs.ends(100, validation=True) == [55, 65, 75]


def test_a_sample_is_spread_evenly():
    assert Cut(sample=3).chosen(list("abcdefg")) == ["a", "d", "g"]
    assert WHOLE.chosen(["a", "b"]) == ["a", "b"]


def weekly(folder):
    rows = [
        ("W1", t, 10.0 + t, int(t > 20), 30.0 if t > 20 else None) for t in range(34)
    ]
    columns = ["unique_id", "t", "y", "is_test", "naive2"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "m4_weekly.csv.gz", index=False)


def test_m4_comes_with_its_own_naive2_and_the_published_figures(tmp_path):
    weekly(tmp_path)
    (tmp_path / "published").mkdir()
    (tmp_path / "published/published_m4.csv").write_text(
        "id,method,metric,frequency,value\n"
        "sNaive,- (Statistical),OWA,Weekly,1.0\n"
        "235,Darin (Statistical),OWA,Weekly,0.7386\n"
        "235,Darin (Statistical),OWA,Hourly,0.4\n"
    )
    found = m4_weekly(tmp_path, WHOLE)
    (one,) = found.windows
    assert one.history.size == 21
    assert one.times[1] - one.times[0] == np.timedelta64(7, "D")
    assert (one.naive2 == 30).all()
    assert found.claims == {"sNaive": 1.0, "Darin": 0.7386}


def test_validation_never_sees_the_test_part(tmp_path):
    weekly(tmp_path)
    found = m4_weekly(tmp_path, Cut(validation=True))
    (one,) = found.windows
    assert one.actual.tolist() == [10.0 + t for t in range(8, 21)]
    assert one.naive2 is None
    assert found.claims == {}


def test_m3_keeps_the_methods_that_forecast_every_series(tmp_path):
    rows = [("N1", "yearly", t, float(t), int(t > 9)) for t in range(16)]
    columns = ["unique_id", "period", "t", "y", "is_test"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "m3.csv.gz", index=False)
    steps = [f"h{step}" for step in range(1, 19)]
    told = [
        ["N1", "NAIVE2", *[9.0] * 6, *[None] * 12],
        ["N1", "THETA", *[10.0] * 6, *[None] * 12],
        ["N1", "AAM1", *[None] * 18],
    ]
    pd.DataFrame(told, columns=["unique_id", "method", *steps]).to_csv(
        tmp_path / "m3_published_forecasts.csv.gz", index=False
    )
    found = m3(tmp_path, WHOLE, period="yearly")
    assert sorted(found.published) == ["NAIVE2", "THETA"]
    assert (found.windows[0].naive2 == 9).all()
    assert found.horizon == 6


def test_doubled_hours_are_averaged_and_missing_ones_stay_missing(tmp_path):
    hours = pd.date_range("2017-01-01", periods=9_000, freq="h")
    rows = pd.DataFrame({"unique_id": "A", "ds": hours, "y": 1.0}).drop(index=5)
    rows = pd.concat([rows, rows.iloc[[0]].assign(y=3.0)]).sort_values("ds")
    rows.to_csv(tmp_path / "pjm_hourly.csv.gz", index=False)
    found = pjm_hourly(tmp_path, WHOLE)
    assert len(found.panels) == 8
    latest = found.panels[-1][0]
    assert latest.history[0] == pytest.approx(2.0)
    assert np.flatnonzero(np.isnan(latest.history)).tolist() == [5]
    assert latest.times[-1] == np.datetime64("2018-01-09T23:00")


def test_an_item_begins_with_its_first_price(tmp_path):
    days = pd.date_range("2015-01-01", periods=400, freq="D")
    rows = pd.DataFrame({"unique_id": "F", "ds": days, "y": 1, "sell_price": 2.5})
    rows.loc[:99, "sell_price"] = None
    rows.to_csv(tmp_path / "m5_small.csv.gz", index=False)
    latest = m5_sample(tmp_path, WHOLE).panels[-1][0]
    assert latest.history.size == 400 - 100 - 28
    assert latest.covariates.shape == (300, 1)
    assert latest.names == ("sell_price",)


def test_the_ends_of_intervals_become_levels_in_order():
    mean = np.zeros(2)
    _, table = baselines.from_ends(mean, lambda share: (mean - share, mean + share))
    assert table[:, 0].tolist() == [-95, -80, -60, -40, -20, 0, 20, 40, 60, 80, 95]


def test_a_bare_model_that_fails_is_replaced_and_counted():
    def breaks(_history, _collection):
        raise ZeroDivisionError

    one = collection(window("a", [1, 2, 3, 4, 5, 9], [1, 1]))
    bare = baselines.Bare("broken", breaks, lambda _one: True)
    found = baselines.run(bare, one)
    assert found.fallbacks == 1
    assert found.mean.tolist() == [[9, 9]]


@pytest.mark.parametrize(
    "bare", [b for b in baselines.BARE if "ARIMA" not in b.name], ids=lambda b: b.name
)
def test_every_bare_model_forecasts_a_plain_season(bare):
    history = np.tile([10.0, 12.0, 14.0, 12.0, 13.0, 16.0, 20.0], 12)
    history += np.random.default_rng(0).normal(0, 0.1, history.size)
    one = collection(window("a", history, [10] * 7), season=7, scale_season=7)
    found = baselines.run(bare, one)
    assert found.fallbacks == 0
    assert np.abs(found.mean - history.mean()).max() < 10


def test_lightgbm_repeats_a_season_that_never_changes():
    history = np.tile([1.0, 5.0, 2.0, 2.0, 3.0, 3.0, 9.0], 20)
    one = collection(window("a", history, [0] * 7), season=7, scale_season=7)
    assert recursive.run(one).mean[0] == pytest.approx(history[:7])


def test_kept_forecasts_are_not_made_again(tmp_path):
    made = Forecasts(np.ones((1, 2)), np.ones((1, len(LEVELS), 2)), 1.5, 1)
    path = tmp_path / "a" / "b.npz"
    kept.forecasts(path, lambda: (made, {"models": {"x": 1.0}}))
    found, told = kept.forecasts(path, lambda: pytest.fail("made again"))
    assert (found.seconds, found.fallbacks) == (1.5, 1)
    assert (found.mean == made.mean).all()
    assert told == {"models": {"x": 1.0}}


def test_a_damaged_file_is_made_again(tmp_path):
    path = tmp_path / "b.npz"
    path.write_bytes(b"no archive")
    made = Forecasts(np.ones((1, 2)), np.ones((1, len(LEVELS), 2)), 1.5)
    found, _ = kept.forecasts(path, lambda: (made, {}))
    assert found is made


def test_what_a_model_sees_decides_what_is_kept():
    one = collection(window("a", [1, 2, 3], [4]))
    other = collection(window("a", [1, 2, 4], [4]))
    assert kept.content(one) != kept.content(other)
    assert kept.content(one) == kept.content(collection(window("a", [1, 2, 3], [5])))


def test_a_collection_is_measured_from_end_to_end(tmp_path):
    weekly(tmp_path)
    plan = Plan(folder=tmp_path, cache=tmp_path / "kept", cut=WHOLE)
    row = measure("m4-weekly", plan)
    assert json.loads(json.dumps(row))["name"] == "m4-weekly"
    assert row["auto"]["fallbacks"] == 0
    assert row["bare"][baselines.NAIVE2]["OWA"] == pytest.approx(1)
    page = report.page([row], {"m3-other": "m3.csv.gz"})
    assert "| M4 Weekly " in page
    assert "their files were missing: m3-other" in page
    assert "OWA" in report.line(row)


def test_a_market_is_told_as_its_own_bench_measured_it(tmp_path, monkeypatch):
    hours = pd.date_range("2015-01-01", periods=24 * 20, freq="h")
    rows = pd.DataFrame({"ds": hours, "price": 30.0, "load": 1.0, "is_test": 0})
    rows.loc[24 * 10 :, "is_test"] = 1
    rows.loc[24 * 10 :, "price"] = 34.0
    rows["lear_ens"], rows["dnn_ens"] = 33.0, 37.0
    rows.to_csv(tmp_path / "epf_NP.csv.gz", index=False)
    asked = []

    def measured(_market, days):
        asked.append(days)
        return [("lear", 1.8, 0.45, 9.0), ("blend", 1.6, 0.4, 20.0)]

    monkeypatch.setattr("bench.epf.measured", measured)
    plan = Plan(folder=tmp_path, cache=tmp_path / "kept", cut=WHOLE)
    row = prices.measure("epf-np", plan)
    assert prices.measure("epf-np", plan) == row | {"peak_mib": row["peak_mib"]}
    assert asked == [range(10, 20)]
    assert row["auto"]["MAE"] == pytest.approx(1.6)
    # Seven of the ten days still follow a week at the old price.
    assert row["bare"][baselines.SEASONAL_NAIVE]["MAE"] == pytest.approx(4 * 0.7)
    assert row["published"] == {
        "LEAR ensemble": 1.0,
        "DNN ensemble": 3.0,
        "mean of LEAR and DNN": 1.0,
    }
    assert "lear 1.800 in 9 CPU s" in row["told"]
    assert "EPF Nord Pool" in report.page([row], {})
    assert "auto 1.600" in report.line(row)


def test_an_answer_of_auto_has_every_level_and_window():
    days = np.arange(70) % 7.0
    one = collection(window("a", days, [0] * 7), season=7, scale_season=7)
    found = auto.run(one, model="seasonal_naive")
    assert found.forecasts.mean[0] == pytest.approx(days[:7])
    assert found.forecasts.quantiles.shape == (1, len(LEVELS), 7)
    assert found.models == {"seasonal_naive": 1.0}


def test_a_missing_file_is_named_and_skipped(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    words = ["x", "--data", str(tmp_path), "--cache", str(tmp_path / "kept")]
    monkeypatch.setattr("sys.argv", [*words, "--page", str(page)])
    command.main()
    assert "etth1: skipped" in capsys.readouterr().out
    assert "etth1" in page.read_text()
