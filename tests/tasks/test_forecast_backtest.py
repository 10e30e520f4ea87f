"""``forecast.backtest``: leaderboards of models, honest about what they show."""

import json
from datetime import timedelta

import orjson
import pytest
from pydantic import ValidationError

from tasks.errors import InvalidData, JobCancelled
from tasks.forecast_backtest import BacktestParams, as_table, forecast_backtest
from tests.fakes import FakeContext
from tests.tasks.series import daily, data, moved, store, warm


def _params(**given) -> BacktestParams:
    return BacktestParams.model_validate(
        {"horizon": 4, "model": ["theta", "naive"], **given}
    )


def _run(context=None, **given) -> dict:
    outcome = forecast_backtest(_params(**given), context or FakeContext())
    assert outcome.store is None
    return json.loads(orjson.dumps(outcome.result))


def test_five_windows_are_scored_unless_others_are_asked_for():
    assert _params(series=["a"]).backtest.windows == 5
    assert _params(series=["a"], backtest={"windows": 2}).backtest.windows == 2


@pytest.mark.parametrize("given", [{"hierarchy": {}}, {"samples": 3}])
def test_what_has_no_meaning_here_is_refused(given):
    with pytest.raises(ValidationError, match="has no meaning here"):
        _params(series=["a"], **given)


def test_the_leaderboard_has_the_best_first():
    result = _run(data=data(daily(9)))
    (panel,) = result["panels"]
    names = [one["model"] for one in panel["leaderboard"]]
    assert set(names) == {"theta", "naive", "seasonal_naive", "blend"}
    errors = [one["relative_mae"] for one in panel["leaderboard"]]
    assert errors == sorted(errors)
    (base,) = (one for one in panel["leaderboard"] if one["model"] == "seasonal_naive")
    assert base["relative_mae"] == pytest.approx(1)
    assert (base["p_value"], base["skill_vs_naive"]) == (None, 0)
    assert (base["windows"], base["points"], base["failed_windows"]) == (5, 20, 0)
    assert len(base["coverage_by_step"]) == 4
    assert result["failed"] == []


def test_each_window_tells_who_did_how_well():
    (panel,) = _run(data=data(daily(9)))["panels"]
    assert [row["cutoff"] for row in panel["windows"]] == [
        f"2026-01-09T{hour:02}:00:00Z" for hour in (19, 15, 11, 7, 3)
    ]
    for row in panel["windows"]:
        assert set(row["relative_mae"]) == {
            one["model"] for one in panel["leaderboard"]
        }
        assert row["series"] == 1


def test_auto_stands_beside_its_models():
    (panel,) = _run(data=data(daily(9)), model="auto", budget_s=0.05)["panels"]
    names = {one["model"] for one in panel["leaderboard"]}
    assert {"auto", "seasonal_naive", "naive"} <= names
    assert not names & set(panel["beyond_budget"])


def test_a_covariate_that_matters_is_seen_to_matter():
    given = {"data": data(moved(10)), "model": "linear"}
    source = {"name": "warm", "rows": warm(244)}
    scores = [
        _run(**given, covariates=known)["panels"][0]["leaderboard"][0]
        for known in ([], [source])
    ]
    assert [one["model"] for one in scores] == ["linear", "linear"]
    assert scores[1]["mae"] < 0.5 * scores[0]["mae"]
    assert scores[1]["p_value"] < 0.05


def test_groups_of_two_frequencies_have_a_leaderboard_each():
    result = _run(
        data=[
            *data(daily(5)),
            *data(daily(5), unique_id="b", step=timedelta(days=1)),
            *data([1.0], unique_id="short"),
            *data([5.0] * 90, unique_id="flat"),
        ]
    )
    assert [(one["frequency"], one["series"]) for one in result["panels"]] == [
        ("3600s", 1),
        ("86400s", 1),
    ]
    failed = {one["unique_id"]: one["detail"] for one in result["failed"]}
    assert set(failed) == {"short", "flat"}
    assert "never changes" in failed["flat"]


def test_nothing_to_compare_fails_with_the_reasons():
    with pytest.raises(InvalidData, match="a: the series never changes"):
        _run(data=data([5.0] * 90))
    with pytest.raises(InvalidData, match="a: 2 observations are too few"):
        _run(data=data([5.0, 6.0]))


def test_progress_grows():
    context = FakeContext()
    _run(
        context,
        data=[*data(daily(5)), *data(daily(5), unique_id="b", step=timedelta(days=1))],
    )
    # Reading fills the first half, comparing counts the series anew.
    told = [done for done, _, _, what in context.steps if "backtesting" in what]
    assert told == sorted(told)
    assert told[-1] == 1
    with pytest.raises(JobCancelled):
        _run(FakeContext(cancelled=True), data=data(daily(5)))


def test_the_table_has_a_row_for_each_model():
    result = _run(data=data(daily(9)))
    columns, table = as_table(result)
    assert columns[:5] == ["frequency", "rank", "model", "relative_mae", "p_value"]
    assert [row[1] for row in table] == [1, 2, 3, 4]
    best = result["panels"][0]["leaderboard"][0]
    assert dict(zip(columns, table[0], strict=True))["mase"] == best["mase"]


def test_twice_the_same_is_the_same():
    given = {"data": data(daily(6)), "model": "auto", "budget_s": 0.05}
    assert _run(**given) == _run(**given)


@pytest.mark.servers
def test_stored_series_are_compared(database, tenant_id):
    store(database, tenant_id, "a", daily(9), frequency="1h", tags=["load"])
    context = FakeContext(tenant_id=tenant_id, database=database)
    (panel,) = _run(context, series={"tag": "load"})["panels"]
    assert (panel["frequency"], panel["series"]) == ("1h", 1)
    alone = _run(data=data(daily(9)))["panels"][0]
    assert panel["leaderboard"] == alone["leaderboard"]
