"""Backtests that read stored series as they were known at each cutoff."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from tasks.forecast_backtest import BacktestParams, forecast_backtest
from tests.fakes import FakeContext
from tests.tasks.series import HOUR, START, daily, data, store

DAYS = 9


def _params(**given) -> BacktestParams:
    return BacktestParams.model_validate(
        {
            "series": ["load"],
            "horizon": 4,
            "model": "seasonal_naive",
            "backtest": {"windows": 2, "vintages": True},
            **given,
        }
    )


def _mae(database, tenant_id, **given) -> float:
    context = FakeContext(tenant_id=tenant_id, database=database)
    (panel,) = forecast_backtest(_params(**given), context).result["panels"]
    return panel["leaderboard"][0]["mae"]


@pytest.mark.parametrize("given", [{"series": None, "data": data(daily(9))}])
def test_vintages_need_stored_series(given):
    with pytest.raises(ValidationError, match="vintages need stored series"):
        _params(**given)


@pytest.mark.servers
def test_revisions_after_a_cutoff_are_not_read_before_it(database, tenant_id):
    values = daily(DAYS)
    store(database, tenant_id, "load", values, now=START)
    before = _mae(database, tenant_id)
    # All but the values that the windows are scored by.
    revised = [value + 30.0 for value in values[:-8]] + values[-8:]
    late = START + timedelta(days=DAYS + 1)
    store(database, tenant_id, "load", revised, now=late)
    assert _mae(database, tenant_id) == before
    assert _mae(database, tenant_id, backtest={"windows": 2}) > before + 20
    then = {"as_of": late - HOUR}
    plain = {"windows": 2}
    assert _mae(database, tenant_id, backtest=plain, **then) == before
    assert _mae(database, tenant_id, known_by="received", **then) == before


@pytest.mark.servers
def test_a_revision_before_a_cutoff_is_read_after_it(database, tenant_id):
    values = daily(DAYS)
    store(database, tenant_id, "load", values, now=START)
    before = _mae(database, tenant_id)
    revised = [value + 30.0 for value in values[:-8]] + values[-8:]
    early = START + timedelta(days=DAYS - 1)
    store(database, tenant_id, "load", revised, now=early)
    assert _mae(database, tenant_id) > before + 20
