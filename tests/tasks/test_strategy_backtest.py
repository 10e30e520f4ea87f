"""``strategy.backtest`` as a plain function: what is refused, told and tabled."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from pydantic import ValidationError

from db import forecasts, series
from tasks.catalog import job_types
from tasks.errors import InvalidData, InvalidParams, JobCancelled
from tasks.strategy_backtest import as_table, strategy_backtest
from tasks.strategy_params import StrategyParams
from tasks.submit import validated
from tests.db import rows
from tests.fakes import FakeContext
from tests.tasks.series import HOUR, START, data, store

KIND = job_types()["strategy.backtest"]
DAY = timedelta(days=1)
PRICES = [100.0, 102.0, 105.0, 103.0, 99.0, 98.0, 101.0]
WAVE = [100.0 + 8 * (-1) ** (at // 10) * (at % 10) for at in range(300)]
LEVEL = {"strategy": "threshold", "parameters": {"level": 100.0, "enter": 0.0}}


def _params(**given) -> StrategyParams:
    return StrategyParams.model_validate({"strategy": "momentum", **given})


def _run(context=None, **given) -> dict:
    outcome = strategy_backtest(_params(**given), context or FakeContext())
    assert outcome.store is None
    return json.loads(orjson.dumps(outcome.result))


def _one(**given) -> dict:
    (found,) = _run(**given)["series"]
    return found


def _issued(issued_at, first, values, unique_id="a") -> list[dict]:
    return [
        {
            "unique_id": unique_id,
            "issued_at": (START + issued_at * HOUR).isoformat(),
            "ds": (START + (first + at) * HOUR).isoformat(),
            "y": value,
        }
        for at, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("given", "pointer", "words"),
    [
        ({"strategy": "oracle"}, "/strategy", "unknown strategy; known are combined,"),
        ({"parameters": {"lookback": 0}}, "/parameters/lookback", "greater than or"),
        ({"parameters": {"colour": 1}}, "/parameters/colour", "Extra inputs"),
        ({"cash": 0}, "/cash", "greater than 0"),
        ({"sizing": {"fraction": 1.5}}, "/sizing/fraction", "less than or equal to 1"),
        (
            {"sizing": {"fraction": 0.5, "units": 1}},
            "/sizing/units",
            "either fraction or units",
        ),
        ({"costs": {"fixed": -1}}, "/costs/fixed", "greater than or equal to 0"),
        ({"risk_free": float("nan")}, "/risk_free", "finite number"),
        (
            {"walk_forward": {"train": 5, "test": 5, "grid": {}}},
            "/walk_forward/grid",
            "at least 1 item",
        ),
        (
            {"walk_forward": {"train": 5, "test": 5, "grid": {"lookback": [1, 0]}}},
            "/walk_forward",
            "grid: lookback: Input should be greater than or equal to 1",
        ),
        (
            {"walk_forward": {"train": 5, "test": 5, "grid": {"speed": [1]}}},
            "/walk_forward",
            "grid: speed: Extra inputs",
        ),
        (
            {
                "walk_forward": {
                    "train": 5,
                    "test": 5,
                    "grid": {"lookback": [1] * 9, "enter": [0] * 9},
                }
            },
            "/walk_forward",
            "more than 64 combinations",
        ),
        ({"strategy": "threshold"}, "", "compares prices with forecasts: give rows"),
        ({"forecasts": "stored"}, "/forecasts", "momentum makes no use of forecasts"),
        (
            {"strategy": "threshold", "forecasts": "stored"},
            "/forecasts",
            "inline data has no stored forecasts",
        ),
        (
            {"strategy": "threshold", "forecasts": 2 * _issued(0, 1, [1.0])},
            "/forecasts",
            "row 1 repeats a time of the same forecast",
        ),
    ],
)
def test_params_that_cannot_be_used_are_refused_by_their_place(given, pointer, words):
    whole = {"data": data(PRICES), "strategy": "momentum", **given}
    with pytest.raises(InvalidParams) as caught:
        validated(KIND, whole)
    (error,) = caught.value.errors
    assert error.pointer == f"/params{pointer}"
    assert words in error.detail


def test_the_strategy_must_be_named():
    with pytest.raises(ValidationError, match="Field required"):
        StrategyParams.model_validate({"data": data(PRICES)})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"sizing": {"units": 3}, "from": START.isoformat(), "short": True},
        {"strategy": "combined"},
        {"strategy": "threshold", "forecasts": _issued(0, 1, [1.0])},
        {"walk_forward": {"train": 9, "test": 3, "grid": {"lookback": [2, 3]}}},
    ],
)
def test_checked_params_survive_json_and_are_checked_to_themselves(given):
    checked = validated(
        KIND,
        {"strategy": "trend", **given, "data": data(PRICES)}
        | ({"strategy": "momentum"} if "walk_forward" in given else {}),
    )
    stored = orjson.loads(orjson.dumps(checked))
    assert stored == checked
    assert validated(KIND, stored) == checked


def test_a_ledger_is_that_of_the_hand_calculation():
    found = _one(
        data=data(PRICES, step=DAY),
        strategy="threshold",
        parameters={"level": 100.0, "enter": 0.015},
        sizing={"units": 10},
        costs={"proportional_bps": 10, "slippage_bps": 5, "fixed": 1},
        short=True,
    )
    # Against 100: below it by more than 1.5 % buys, above by more sells, between holds.
    assert [bar["stance"] for bar in found["equity"]] == [
        "flat",
        "short",
        "short",
        "short",
        "flat",
        "long",
        "flat",
    ]
    # Short at 105: 10000 + 1050 - 1050 * 0.0015 - 1; back at 98: 980 * 1.0015 + 1.
    # Bar 5 decides long, filled at 101: 1010 * 1.0015 + 1.
    assert found["ledger"] == [
        _order("2026-01-03", "sell", 105.0, 2.575, 11_047.425, -10.0, 9_997.425, None),
        _order("2026-01-06", "buy", 98.0, 2.47, 10_064.955, 0.0, 10_064.955, 64.955),
        _order("2026-01-07", "buy", 101.0, 2.515, 9_052.44, 10.0, 10_062.44, None),
    ]
    assert [bar["equity"] for bar in found["equity"]] == [
        10_000.0,
        10_000.0,
        9_997.425,
        10_017.425,  # 11047.425 - 1030
        10_057.425,  # 11047.425 - 990
        10_064.955,
        10_062.44,
    ]
    assert [bar["cost"] for bar in found["equity"]] == [0, 0, 2.575, 0, 0, 2.47, 2.515]
    # Bought at bar 1 for 1020 + 2.53.
    assert [bar["buy_and_hold"] for bar in found["equity"]] == [
        10_000.0,
        *(8_977.47 + 10 * price for price in PRICES[1:]),
    ]
    figures = found["performance"]
    assert figures["final_equity"] == 10_062.44
    assert figures["total_return"] == 0.006244
    assert (figures["orders"], figures["trades"], figures["hit_rate"]) == (3, 1, 1.0)
    assert figures["costs"] == 7.56  # 2.575 + 2.47 + 2.515
    assert (figures["proportional"], figures["slippage"]) == (3.04, 1.52)
    assert figures["exposure"] == 4 / 7
    assert found["excess_return"] == pytest.approx(0.006244 - -0.001253)
    assert figures["sharpe"] is None
    assert figures["cagr"] is None


def _order(day, *told) -> dict:
    names = ("side", "price", "cost", "cash", "position", "equity", "profit")
    row = dict(zip(names, told, strict=True))
    return {"ds": f"{day}T00:00:00Z", "quantity": 10.0, **row}


def test_the_answer_names_the_terms():
    result = _run(data=data(PRICES), costs={"fixed": 2})
    assert result["strategy"] == "momentum"
    assert result["selection"] == "given"
    assert result["costs"] == {
        "proportional_bps": 0.0,
        "fixed": 2.0,
        "slippage_bps": 0.0,
    }
    assert result["sizing"] == {"fraction": None, "units": None, "lot": 1e-8}
    found = result["series"][0]
    assert found["parameters"] == {"enter": 0.0, "leave": 0.0, "lookback": 20}
    assert found["latest_stance"] == "flat"
    (warning,) = found["warnings"]
    assert "the parameters were given" in warning


def test_times_without_a_price_are_no_bars_and_told():
    found = _one(data=data([None, 100.0, None, 90.0, 95.0]), **LEVEL)
    assert found["unpriced"] == {
        "count": 2,
        "first": ["2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z"],
    }
    assert [bar["price"] for bar in found["equity"]] == [100.0, 90.0, 95.0]
    assert found["ledger"][0]["ds"] == "2026-01-01T04:00:00Z"


def test_a_price_below_zero_names_its_row_and_what_to_do():
    told = r"a: row 3 \(2026-01-01T03:00:00Z\): the price -5 is not above zero.*units"
    with pytest.raises(InvalidData, match=told):
        _run(data=data([10.0, None, 12.0, -5.0]), **LEVEL)
    found = _one(data=data([10.0, None, 12.0, -5.0]), sizing={"units": 1}, **LEVEL)
    assert found["ledger"][0]["price"] == 12.0


def test_one_bad_series_does_not_fail_the_panel():
    result = _run(data=[*data(PRICES), *data([1.0], unique_id="short")])
    assert [one["unique_id"] for one in result["series"]] == ["a"]
    (bad,) = result["failed"]
    assert bad["unique_id"] == "short"
    assert bad["detail"].startswith("1 bars with a price are too few: 2 are needed")


def test_from_keeps_earlier_bars_as_context():
    start = (START + 5 * HOUR).isoformat()
    found = _one(data=data(WAVE[:40]), parameters={"lookback": 5}, **{"from": start})
    assert (found["context_bars"], found["start"]) == (5, "2026-01-01T05:00:00Z")
    assert found["equity"][0]["stance"] == "long"
    assert found["equity"][0]["equity"] == 10_000.0


def test_forecasts_in_the_request_are_what_threshold_follows():
    rows_ = _issued(0, 1, [103.0, 103.0]) + _issued(2, 3, [90.0], "b")
    params = {"strategy": "threshold", "forecasts": rows_}
    found = _one(data=data([100.0] * 4), **params)
    assert [bar["stance"] for bar in found["equity"]] == [
        "long",
        "long",
        "flat",
        "flat",
    ]
    assert any("at 2 of 4 bars no forecast" in told for told in found["warnings"])
    with pytest.raises(InvalidData, match="there is no forecast of c"):
        _run(data=data([100.0] * 4, unique_id="c"), **params)


def test_walk_forward_tells_its_windows():
    result = _run(
        data=data(WAVE),
        walk_forward={"train": 60, "test": 100, "grid": {"lookback": [1, 10]}},
        costs={"proportional_bps": 1},
    )
    assert result["selection"] == "walk_forward"
    (found,) = result["series"]
    assert found["context_bars"] == 60
    windows = found["walk_forward"]
    assert [(one["train_start"], one["start"], one["end"]) for one in windows] == [
        ("2026-01-01T00:00:00Z", "2026-01-03T12:00:00Z", "2026-01-07T15:00:00Z"),
        ("2026-01-05T04:00:00Z", "2026-01-07T16:00:00Z", "2026-01-11T19:00:00Z"),
        ("2026-01-09T08:00:00Z", "2026-01-11T20:00:00Z", "2026-01-13T11:00:00Z"),
    ]
    assert {one["parameters"]["lookback"] for one in windows} == {1}
    grown = 1.0
    for one in windows:
        grown *= 1 + one["total_return"]
    assert grown - 1 == pytest.approx(found["performance"]["total_return"])


def test_progress_counts_the_series_and_a_cancelled_job_stops():
    context = FakeContext()
    _run(context, data=[*data(PRICES), *data(PRICES, unique_id="b")])
    assert context.steps == [
        (0, 2, "series", "trading a"),
        (1, 2, "series", "trading b"),
        (2, 2, "series", "done"),
    ]
    with pytest.raises(JobCancelled):
        _run(FakeContext(cancelled=True), data=data(PRICES))


def test_the_table_has_a_row_for_each_series_and_bar():
    result = _run(data=[*data(PRICES), *data(PRICES, unique_id="b")])
    columns, table = as_table(result)
    assert columns == [
        "unique_id",
        "ds",
        "price",
        "stance",
        "position",
        "cash",
        "cost",
        "equity",
        "buy_and_hold",
    ]
    assert len(table) == 14
    assert table[7] == ["b", *result["series"][1]["equity"][0].values()]


def test_rows_of_forecasts_keep_the_job_whole():
    params = _params(
        series=["a", "b"], strategy="threshold", forecasts=_issued(0, 1, [1.0])
    )
    assert KIND.parts.split(params, FakeContext()) == [params]


@pytest.mark.servers
def test_stored_forecasts_count_from_when_they_were_issued(database, tenant_id):
    now = START + 2 * DAY
    store(database, tenant_id, "a", [100.0] * 72, frequency="1h", now=now)
    job_id = rows.queued(database, tenant_id)
    with database.tenant(tenant_id) as connection:
        found = series.find(connection, tenant_id=tenant_id, key="a")
        forecasts.store(
            connection,
            tenant_id=tenant_id,
            job_id=job_id,
            new=forecasts.NewForecast(
                series_id=found.id,
                cutoff=START,
                model="naive",
                quantiles=[0.5],
                points=[(START + at * HOUR, 110.0, [110.0]) for at in range(1, 72)],
                evaluation=None,
                warnings=[],
            ),
        )
    rows.change(database, "UPDATE forecasts SET issued_at = :at", at=START + 30 * HOUR)
    context = FakeContext(tenant_id=tenant_id, database=database)
    given = {"series": ["a"], "strategy": "threshold", "forecasts": "stored"}
    (told,) = _run(context, **given)["series"]
    assert [bar["stance"] for bar in told["equity"]] == (
        ["flat"] * 30 + ["long"] * 41 + ["flat"]
    )
    with pytest.raises(InvalidData, match="there is no forecast of a"):
        _run(context, **given, as_of=(START + 29 * HOUR).isoformat())


@pytest.mark.servers
def test_parts_give_what_the_whole_job_gives(database, tenant_id):
    for key in ("a", "b"):
        store(database, tenant_id, key, WAVE, frequency="1h")
    context = FakeContext(tenant_id=tenant_id, database=database)
    params = _params(series=["a", "b"])
    whole = strategy_backtest(params, context).result
    parts = [
        strategy_backtest(params.model_copy(update={"series": [key]}), context).result
        for key in ("a", "b")
    ]
    assert KIND.parts.merge(params, iter(parts), context).result == whole


def test_params_are_checked_without_the_numeric_stack():
    """The web door checks them, and has no numpy."""
    code = (
        "import sys; from tasks.catalog import job_types; "
        "from tasks.submit import validated; "
        "rows = [{'ds': '2026-01-01T00:00:00Z', 'y': 1}]; "
        "grid = {'train': 2, 'test': 1, 'grid': {'share': [0.1, 0.2]}}; "
        "validated(job_types()['strategy.backtest'], {'strategy': 'combined', "
        "'data': rows, 'walk_forward': grid}); "
        "print(sorted({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
