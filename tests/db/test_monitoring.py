"""Stored forecasts held against observations, in sets."""

from datetime import timedelta

import numpy as np
import pytest

from db import monitoring
from forecasting import losses
from tests.db import rows, trained
from tests.db.watched import STATED, forecast, nights, series_id
from tests.tasks.series import HOUR, START, store

pytestmark = pytest.mark.servers

NOW = START + timedelta(days=90)
LEVELS = (0.1, 0.5, 0.9)


@pytest.fixture
def load(database, tenant_id) -> list[float]:
    """Ten days of a series ``load``."""
    values = np.random.default_rng(0).normal(100, 5, 240).tolist()
    store(database, tenant_id, "load", values)
    return values


@pytest.fixture
def score(database, tenant_id):
    """Match: ``score(*keys)`` gives what changed."""

    def run(*keys, days=28, now=NOW) -> monitoring.Scored:
        ids = [series_id(database, tenant_id, key) for key in keys or ("load",)]
        with database.tenant(tenant_id) as connection:
            return monitoring.score(
                connection, tenant_id=tenant_id, series_ids=ids, days=days, now=now
            )

    return run


@pytest.fixture
def scores(database, tenant_id):
    def page(key="load", before=None, limit=100) -> list[monitoring.Score]:
        number = series_id(database, tenant_id, key)
        with database.tenant(tenant_id) as connection:
            return monitoring.scores(
                connection,
                tenant_id=tenant_id,
                series_id=number,
                before=before,
                limit=limit,
            )

    return page


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


def test_the_errors_are_those_of_the_forecasting_room(
    database, tenant_id, load, score, scores
):
    means = [value + step - 11 for step, value in enumerate(load[-24:])]
    made = forecast(database, tenant_id, first=216, means=means, width=6.5)
    assert score() == monitoring.Scored(forecasts=1, points=24, changed=1)
    (found,) = scores()
    actual, mean = np.array(load[-24:]), np.array(means)
    quantiles = {
        level: mean + offset
        for level, offset in zip(LEVELS, (-6.5, 0, 6.5), strict=True)
    }
    assert found.forecast_id == made
    assert (found.steps, found.points) == (24, 24)
    assert found.mae == pytest.approx(losses.mae(actual, forecast=mean))
    assert found.wql == pytest.approx(losses.wql(actual, quantiles=quantiles))
    pinballs = [
        losses.pinball(actual, forecast=q, level=a) for a, q in quantiles.items()
    ]
    assert found.pinball == pytest.approx(np.mean(pinballs))
    lower, upper = quantiles[0.1], quantiles[0.9]
    assert (
        found.coverage == losses.coverage(actual, lower=lower, upper=upper) == 13 / 24
    )
    assert found.nominal_coverage == pytest.approx(0.8)
    assert found.scaled == pytest.approx(found.mae * STATED["mase"] / STATED["mae"])
    assert found.baseline_mae == STATED["mae"]
    assert found.matched_until == found.last_at == START + 239 * HOUR


def test_a_second_run_writes_nothing(database, tenant_id, load, score, scores):
    nights(database, tenant_id, actual=load, errors=[1.0, -2.0, 3.0])
    assert score().changed == 3
    before = scores()
    assert score(now=NOW + HOUR) == monitoring.Scored(3, 72, 0)
    assert scores() == before


def test_steps_are_matched_as_they_come(database, tenant_id, load, score, scores):
    forecast(database, tenant_id, first=238, means=[load[238] + 1, load[239] + 3, 7.0])
    assert score() == monitoring.Scored(1, 2, 1)
    (found,) = scores()
    assert (found.steps, found.points) == (3, 2)
    assert found.mae == pytest.approx(2.0)
    assert found.matched_until == START + 239 * HOUR
    assert found.last_at == START + 240 * HOUR
    store(database, tenant_id, "load", [*load, 10.0])
    assert score().changed == 1
    (found,) = scores()
    assert found.mae == pytest.approx((1 + 3 + 3) / 3)


def test_a_forecast_of_what_is_still_to_come_has_no_score(
    database, tenant_id, load, score, scores
):
    forecast(database, tenant_id, first=240, means=[1.0])
    assert score() == monitoring.Scored(0, 0, 0)
    assert scores() == []


def test_a_step_that_nothing_came_for_is_left_out(
    database, tenant_id, load, score, scores
):
    gap = "UPDATE obs_current SET value = NULL WHERE ts = :ts"
    rows.change(database, gap, ts=START + 230 * HOUR)
    forecast(database, tenant_id, first=229, means=[load[229] + 1, 5.0, load[231] + 1])
    score()
    (found,) = scores()
    assert (found.steps, found.points) == (3, 2)
    assert found.mae == pytest.approx(1.0)


@pytest.mark.parametrize("value", [1e308, -1e308, "Infinity", "NaN"])
def test_a_value_that_no_room_takes_is_not_matched(
    database, tenant_id, load, score, scores, value
):
    change = "UPDATE obs_current SET value = CAST(:v AS float8) WHERE ts = :ts"
    rows.change(database, change, v=str(value), ts=START + 230 * HOUR)
    forecast(database, tenant_id, first=229, means=[load[229], -1e99, load[231] + 1])
    score()
    (found,) = scores()
    assert (found.points, found.mae) == (2, pytest.approx(0.5))


def test_a_revision_inside_the_window_counts_and_an_old_one_does_not(
    database, tenant_id, load, score, scores
):
    nights(database, tenant_id, actual=load, errors=[1.0] * 9)
    score()
    first = 240 - 9 * 24
    revised = [value + 10 * (at in (first, 239)) for at, value in enumerate(load)]
    store(database, tenant_id, "load", revised)
    assert score(days=8).changed == 1
    assert [one.mae for one in scores()] == pytest.approx([1 + 8 / 24, *[1.0] * 8])
    assert score(days=9).changed == 1


def test_a_forecast_without_quantiles_or_evaluation_has_errors_all_the_same(
    database, tenant_id, load, score, scores
):
    points = [(START + 239 * HOUR, load[239] + 2, ())]
    changes = {"quantiles": (), "evaluation": None, "points": points}
    forecast(database, tenant_id, first=239, means=[0.0], **changes)
    score()
    (found,) = scores()
    assert found.mae == pytest.approx(2.0)
    told = (found.wql, found.pinball, found.coverage, found.scaled, found.baseline_mae)
    assert told == (None,) * 5


@pytest.mark.parametrize(
    "case",
    [
        ("auto", "blend", "auto"),
        (["ets", "theta"], "blend", "ets+theta"),
        (None, "theta", "theta"),
        ({"name": "x"}, "theta", "theta"),
        ("auto", "load-day-ahead@1", "load-day-ahead"),
        ("auto", "load-day-ahead@99999999999", "auto"),
        ("auto", "nobody@1", "auto"),
    ],
)
def test_the_forecaster_is_the_entry_or_what_was_asked_for(
    database, tenant_id, load, score, scores, case
):
    asked, model, forecaster = case
    trained.add(database, tenant_id)
    forecast(database, tenant_id, first=239, means=[1.0], asked=asked, model=model)
    score()
    assert [one.forecaster for one in scores()] == [forecaster]


@pytest.mark.parametrize(
    "case",
    [(STATED, 1, 1.0), (None, 1, 10.0), ({"mae": None}, 1, 10.0), (None, 12, None)],
)
def test_the_baseline_is_the_forecast_s_own_or_that_of_a_version_of_one_series(
    database, tenant_id, load, score, scores, case
):
    evaluation, count, baseline = case
    trained.add(database, tenant_id, series_count=count)
    changes = {"evaluation": evaluation, "model": "load-day-ahead@1"}
    forecast(database, tenant_id, first=239, means=[1.0], **changes)
    score()
    assert [one.baseline_mae for one in scores()] == [baseline]


def test_rolling_errors_are_weighed_by_points_and_kept_by_forecaster(
    database, tenant_id, load, score, rolling
):
    nights(database, tenant_id, actual=load, errors=[1.0, 2.0])
    stated = {"mae": 4.0, "mase": 1.0}
    short = [load[239] + 8]
    forecast(database, tenant_id, first=239, means=short, evaluation=stated)
    nights(database, tenant_id, actual=load, errors=[5.0], asked="ets")
    score()
    auto, ets = rolling()
    assert (auto.forecaster, auto.forecasts, auto.points) == ("auto", 3, 49)
    assert auto.mae == pytest.approx((24 + 48 + 8) / 49)
    assert auto.baseline == pytest.approx((48 + 4) / 49)
    assert auto.last == START + 239 * HOUR
    assert (ets.forecaster, ets.mae) == ("ets", pytest.approx(5.0))


def test_the_window_ends_with_what_came_last(database, tenant_id, load, score, rolling):
    nights(database, tenant_id, actual=load, errors=[1.0, 2.0, 3.0, 4.0])
    score()
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


def test_scores_are_read_page_by_page(database, tenant_id, load, score, scores):
    made = nights(database, tenant_id, actual=load, errors=[1.0, 2.0, 3.0])
    score()
    first = scores(limit=2)
    rest = scores(limit=2, before=first[-1].forecast_id)
    assert [one.forecast_id for one in [*first, *rest]] == made[::-1]
