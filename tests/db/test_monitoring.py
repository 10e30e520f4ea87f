"""Which series are watched, their rolling errors and their latest values."""

import numpy as np
import pytest

from db import monitoring
from tests.db.watched import forecast, nights, scored, series_id
from tests.tasks.series import HOUR, START, store

pytestmark = pytest.mark.servers


@pytest.fixture
def load(database, tenant_id) -> list[float]:
    """Ten days of a series ``load``."""
    values = np.random.default_rng(0).normal(100, 5, 240).tolist()
    store(database, tenant_id, "load", values)
    return values


@pytest.fixture
def rolling(database, tenant_id):
    def run(days=28, last=None) -> list[monitoring.Rolling]:
        number = series_id(database, tenant_id)
        with database.tenant(tenant_id) as connection:
            return monitoring.rolling(
                connection,
                tenant_id=tenant_id,
                series_ids=[number],
                days=days,
                last=last,
            )

    return run


def test_rolling_errors_are_weighed_by_points_and_kept_by_forecaster(
    database, tenant_id, load, rolling
):
    nights(database, tenant_id, actual=load, errors=[1.0, 2.0])
    stated = {"mae": 4.0, "mase": 1.0}
    short = [load[239] + 8]
    forecast(database, tenant_id, first=239, means=short, evaluation=stated)
    nights(database, tenant_id, actual=load, errors=[5.0], asked="ets")
    scored(database, tenant_id, "load")
    auto, ets = rolling()
    assert (auto.forecaster, auto.forecasts, auto.points) == ("auto", 3, 49)
    assert auto.mae == pytest.approx((24 + 48 + 8) / 49)
    assert auto.baseline == pytest.approx((48 + 4) / 49)
    assert auto.last == START + 239 * HOUR
    assert (ets.forecaster, ets.mae) == ("ets", pytest.approx(5.0))


def test_the_window_ends_with_what_came_last(database, tenant_id, load, rolling):
    nights(database, tenant_id, actual=load, errors=[1.0, 2.0, 3.0, 4.0])
    scored(database, tenant_id, "load")
    assert [one.forecasts for one in rolling(days=2)] == [2]
    assert [one.mae for one in rolling(last=1)] == pytest.approx([4.0])
    assert [one.mae for one in rolling()] == pytest.approx([2.5])


def test_recent_values_are_read_in_two_windows(database, tenant_id, load):
    store(database, tenant_id, "empty", [])
    forecast(database, tenant_id, first=240, means=[1.0])
    ids = [series_id(database, tenant_id, key) for key in ("load", "empty")]

    def read(**given) -> list[monitoring.Recent]:
        with database.tenant(tenant_id) as connection:
            return list(
                monitoring.recent(
                    connection,
                    tenant_id=tenant_id,
                    series_ids=ids,
                    **{"days": 3, "most": 1_000, **given},
                )
            )

    (found,) = read()
    assert found.values.tolist() == load[-144:]
    assert found.split == 72
    start = np.datetime64(START.replace(tzinfo=None), "us")
    assert found.times[0] == start + np.timedelta64(96, "h")
    (found,) = read(days=9)
    assert (found.values.size, found.split) == (240, 24)
    (found,) = read(most=10)
    assert found.values.tolist() == [*load[-82:-72], *load[-10:]]


def test_only_series_with_forecasts_are_watched(
    database, tenant_id, other_tenant_id, load
):
    store(database, tenant_id, "quiet", [1.0], tags=["grid"])
    store(database, tenant_id, "other", load, tags=["grid"], frequency="1h")
    for key in ("load", "other"):
        forecast(database, tenant_id, first=239, means=[1.0], key=key)

    def watched(tenant=tenant_id, keys=None, tag=None) -> list[str]:
        with database.tenant(tenant) as connection:
            found = monitoring.watched(connection, tenant_id=tenant, keys=keys, tag=tag)
        return [one.key for one in found]

    assert watched() == ["load", "other"]
    assert watched(keys=["quiet", "load"]) == ["load"]
    assert watched(tag="grid") == ["other"]
    assert watched(other_tenant_id) == []
