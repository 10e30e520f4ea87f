"""Stored forecasts held against observations: errors, baselines, reruns."""

from datetime import timedelta

import numpy as np
import pytest

from db import scores as table
from db.scores import InUse, Lag, Score, Scored
from forecasting import losses
from tests.db import rows, trained
from tests.db.watched import NOW, STATED, forecast, nights, scored, series_id
from tests.tasks.series import HOUR, START, store

pytestmark = pytest.mark.servers

LEVELS = (0.1, 0.5, 0.9)


@pytest.fixture
def load(database, tenant_id) -> list[float]:
    """Ten days of a series ``load``."""
    values = np.random.default_rng(0).normal(100, 5, 240).tolist()
    store(database, tenant_id, "load", values)
    return values


@pytest.fixture
def score(database, tenant_id):
    """Match: ``score()`` gives what changed."""

    def run(**window) -> Scored:
        return scored(database, tenant_id, "load", **window)

    return run


@pytest.fixture
def scores(database, tenant_id):
    def page(key="load", before=None, limit=100) -> list[Score]:
        number = series_id(database, tenant_id, key)
        with database.tenant(tenant_id) as connection:
            return table.page(
                connection,
                tenant_id=tenant_id,
                series_id=number,
                before=before,
                limit=limit,
            )

    return page


def test_the_errors_are_those_of_the_forecasting_room(
    database, tenant_id, load, score, scores
):
    means = [value + step - 11 for step, value in enumerate(load[-24:])]
    made = forecast(database, tenant_id, first=216, means=means, width=6.5)
    assert score() == Scored(forecasts=1, points=24, changed=1)
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
    assert score(now=NOW + HOUR) == Scored(3, 72, 0)
    assert scores() == before


def test_steps_are_matched_as_they_come(database, tenant_id, load, score, scores):
    forecast(database, tenant_id, first=238, means=[load[238] + 1, load[239] + 3, 7.0])
    assert score() == Scored(1, 2, 1)
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
    assert score() == Scored(0, 0, 0)
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


def test_scores_are_read_page_by_page(database, tenant_id, load, score, scores):
    made = nights(database, tenant_id, actual=load, errors=[1.0, 2.0, 3.0])
    score()
    first = scores(limit=2)
    rest = scores(limit=2, before=first[-1].forecast_id)
    assert [one.forecast_id for one in [*first, *rest]] == made[::-1]


@pytest.fixture
def panel_version(database, tenant_id, load) -> str:
    """A version of two series, which learned from the first five days."""
    metrics = {"mase": 0.5}
    end = START + timedelta(days=5)
    given = {"series_count": 2, "window_end": end, "frequency": "1h", "params": {}}
    trained.add(database, tenant_id, metrics=metrics, **given)
    return "load-day-ahead@1"


def test_a_version_of_many_series_is_the_baseline_in_each_one_s_own_scale(
    database, tenant_id, load, panel_version, score, scores
):
    changes = {"evaluation": None, "model": panel_version}
    forecast(database, tenant_id, first=239, means=[load[239] + 3], **changes)
    lags = [Lag(panel_version, 24 * 3_600.0, 0.5)]
    score(lags=lags)
    (found,) = scores()
    scale = losses.seasonal_error(np.array(load[:120]), season=24)
    assert found.baseline_mae == pytest.approx(0.5 * scale)
    assert found.scaled == pytest.approx(3 / scale)
    assert score(lags=lags).changed == 0


def test_versions_without_an_error_of_the_series_itself_are_named(
    database, tenant_id, load, panel_version
):
    number = series_id(database, tenant_id)

    def named() -> list[InUse]:
        with database.tenant(tenant_id) as connection:
            return table.in_use(connection, tenant_id=tenant_id, series_ids=[number])

    forecast(database, tenant_id, first=239, means=[1.0], model=panel_version)
    forecast(database, tenant_id, first=239, means=[1.0], evaluation=None)
    assert named() == []
    changes = {"evaluation": None, "model": panel_version}
    forecast(database, tenant_id, first=239, means=[1.0], **changes)
    assert named() == [InUse(panel_version, "1h", None, 0.5)]
