"""``forecast.monitor`` as a plain function on a real database, night after night."""

import json
from datetime import timedelta

import numpy as np
import orjson
import pytest
from pydantic import ValidationError

import tasks.monitor
from db import events, findings
from db import webhooks as hooks
from db.findings import Wanted
from db.ids import new_id
from db.webhooks import NewWebhook
from tasks.errors import InvalidData, JobCancelled
from tasks.findings import training
from tasks.monitor import MonitorParams, as_table, forecast_monitor
from tests.db import rows, trained
from tests.db.watched import forecast, nights
from tests.fakes import FakeContext
from tests.tasks.series import START, store

DAYS = 60
TRAIN = {"name": "{series}.daily", "horizon": 24}


def season(days: int = DAYS, *, seed: int = 0, level: float = 100.0) -> list[float]:
    """Hourly values with a day in them, and noise that remembers."""
    noise = np.random.default_rng(seed).normal(size=24 * days)
    for at in range(1, noise.size):
        noise[at] += 0.5 * noise[at - 1]
    hours = np.arange(24 * days)
    return (level + 10 * np.sin(hours * np.pi / 12) + noise).tolist()


@pytest.fixture
def run(database, tenant_id):
    """Run a night's job: ``run(**params)`` gives its result."""

    def night(*, later: timedelta = timedelta(), **params) -> dict:
        context = FakeContext(
            tenant_id=tenant_id,
            database=database,
            job_id=rows.queued(database, tenant_id),
            now=START + timedelta(days=DAYS) + later,
        )
        return end(context, forecast_monitor(MonitorParams(**params), context))

    return night


def end(context: FakeContext, outcome) -> dict:
    with context.read() as connection:
        added = outcome.store(connection)
    return json.loads(orjson.dumps({**outcome.result, **added}))


@pytest.fixture
def load(database, tenant_id) -> list[float]:
    """The observations of a series ``load``."""
    actual = season()
    store(database, tenant_id, "load", actual, frequency="1h")
    return actual


@pytest.fixture
def listed(database, tenant_id):
    def page(**wanted) -> list:
        with database.tenant(tenant_id) as connection:
            return findings.page(
                connection,
                tenant_id=tenant_id,
                wanted=Wanted(**wanted),
                before=None,
                limit=100,
            )

    return page


def kinds(told: list[dict]) -> list[tuple[str, str]]:
    return [(one["unique_id"], one["kind"]) for one in told]


@pytest.mark.servers
def test_a_forecaster_that_got_worse_is_found_once(
    database, tenant_id, load, run, listed
):
    nights(database, tenant_id, actual=load, errors=[1.3, -1.3, 1.3])
    first = run()
    assert kinds(first["opened"]) == [("load", "performance")]
    assert first["matched"] == {"forecasts": 3, "points": 72, "changed": 3}
    assert first["performance"] == {"judged": 1, "not_enough": 0, "drifted": 1}
    (found,) = listed(open=True)
    assert (found.forecaster, found.detail["points"]) == ("auto", 72)
    assert found.detail["ratio"] == pytest.approx(1.3)
    again = run(later=timedelta(days=1))
    assert (again["opened"], again["closed"], again["open"]) == ([], [], 1)
    assert again["matched"]["changed"] == 0
    assert listed() == [found]


@pytest.mark.servers
@pytest.mark.parametrize(
    ("errors", "params"),
    [
        ([1.5, 1.5], {}),
        ([1.5] * 3, {"minimum_forecasts": 4}),
        ([1.5] * 3, {"minimum_points": 73}),
        ([1.5] * 3, {"last": 2}),
        ([1.5] * 3, {"days": 2}),
    ],
)
def test_too_little_that_came_is_not_judged(
    database, tenant_id, load, run, errors, params
):
    nights(database, tenant_id, actual=load, errors=errors)
    told = run(checks=["performance"], **params)
    assert told["performance"] == {"judged": 0, "not_enough": 1, "drifted": 0}
    assert told["opened"] == []


@pytest.mark.servers
def test_a_finding_stays_until_the_error_is_half_way_back(
    database, tenant_id, load, run, listed
):
    def night(hour: int, error: float) -> dict:
        means = [value + error for value in load[hour : hour + 24]]
        forecast(database, tenant_id, first=hour, means=means)
        return run(checks=["performance"], last=1, minimum_forecasts=1)

    hours = range(24 * 50, 24 * 56, 24)
    told = [
        night(hour, error)
        for hour, error in zip(hours, (1.0, 1.3, 1.15, 1.05, 1.15, 1.25), strict=True)
    ]
    assert [len(one["opened"]) for one in told] == [0, 1, 0, 0, 0, 1]
    assert [len(one["closed"]) for one in told] == [0, 0, 0, 1, 0, 0]
    second, first = listed()
    assert (first.closed_at is None, second.closed_at is None) == (False, True)
    assert first.detail["ratio"] == pytest.approx(1.15)
    assert [one.id for one in listed(open=False)] == [first.id]


@pytest.mark.servers
def test_a_late_revision_of_what_came_changes_score_and_finding(
    database, tenant_id, load, run, listed
):
    nights(database, tenant_id, actual=load, errors=[1.3] * 3)
    run(checks=["performance"])
    (before,) = listed()
    revised = [*load[:-1], load[-1] - 7.2]
    store(database, tenant_id, "load", revised, frequency="1h")
    told = run(checks=["performance"], later=timedelta(hours=1))
    assert (told["matched"]["changed"], told["opened"]) == (1, [])
    (after,) = listed()
    assert after.id == before.id
    assert after.updated_at > before.updated_at
    assert after.detail["mae"] == pytest.approx(1.3 + 7.2 / 72)


@pytest.mark.servers
def test_a_level_that_shifted_is_found_and_noise_is_not(database, tenant_id, run):
    calm, moved = season(), season(seed=1)
    moved[-28 * 24 :] = [value + 4 for value in moved[-28 * 24 :]]
    for key, values in (("calm", calm), ("moved", moved)):
        store(database, tenant_id, key, values, frequency="1h")
        forecast(database, tenant_id, first=len(values), means=[1.0], key=key)
    told = run()
    assert kinds(told["opened"]) == [("moved", "input")]
    assert told["input"] == {"judged": 2, "not_enough": 0, "drifted": 1}
    assert told["performance"]["not_enough"] == 2
    detail = told["opened"][0]["detail"]
    assert detail["shift"] == pytest.approx(4, abs=0.5)
    assert detail["season"] == 168
    assert detail["p_value"] < 1e-6
    assert run()["opened"] == []


@pytest.mark.servers
def test_an_input_that_stays_at_its_new_level_is_no_longer_drifting(
    database, tenant_id, run, listed
):
    values = season(88)
    values[24 * 32 :] = [value + 4 for value in values[24 * 32 :]]
    store(database, tenant_id, "load", values[: 24 * 60], frequency="1h")
    forecast(database, tenant_id, first=24 * 60, means=[1.0])
    (opened,) = run(checks=["input"])["opened"]
    store(database, tenant_id, "load", values[: 24 * 61], frequency="1h")
    assert run(checks=["input"])["open"] == 1
    store(database, tenant_id, "load", values, frequency="1h")
    (closed,) = run(checks=["input"])["closed"]
    assert closed["id"] == opened["id"]
    assert listed(open=True) == []


@pytest.mark.servers
def test_the_input_is_held_against_what_the_version_in_use_has_learned(
    database, tenant_id, run
):
    values = season()
    values[24 * 5 :] = [value + 4 for value in values[24 * 5 :]]
    store(database, tenant_id, "load", values, frequency="1h")
    trained.add(database, tenant_id, window_end=START + timedelta(days=5))
    params = {"checks": ["input"], "days": 5}
    forecast(database, tenant_id, first=len(values), means=[1.0])
    assert run(**params)["opened"] == []
    version = "load-day-ahead@1"
    forecast(database, tenant_id, first=len(values) + 1, means=[1.0], model=version)
    (found,) = run(**params)["opened"]
    assert found["detail"]["reference_to"] == "2026-01-05T23:00:00Z"


@pytest.mark.servers
@pytest.mark.parametrize(("frequency", "judged"), [("1h", 1), ("MS", 0)])
def test_a_version_of_many_series_is_judged_in_the_scale_of_each(
    database, tenant_id, load, run, frequency, judged
):
    given = {"series_count": 2, "frequency": frequency, "params": {"season": 24}}
    trained.add(database, tenant_id, window_end=START + timedelta(days=50), **given)
    changes = {"evaluation": None, "model": "load-day-ahead@1"}
    nights(database, tenant_id, actual=load, errors=[5.0] * 3, **changes)
    told = run(checks=["performance"])
    assert told["performance"]["judged"] == len(told["opened"]) == judged
    for one in told["opened"]:
        assert one["forecaster"] == "load-day-ahead"
        assert 2 < one["detail"]["ratio"] < 8


@pytest.mark.servers
def test_events_and_deliveries_tell_of_each_finding_once(
    database, tenant_id, load, run, listed
):
    new = NewWebhook(new_id("whk"), "https://a.example/", ["drift.opened"], "")
    with database.tenant(tenant_id) as connection:
        hooks.create(connection, tenant_id=tenant_id, new=new, most=1)
    nights(database, tenant_id, actual=load, errors=[1.3] * 3)
    run()
    run()
    (found,) = listed()
    with database.tenant(tenant_id) as connection:
        told = events.after(
            connection, tenant_id=tenant_id, job_id=found.opened_by, event_id=0
        )
    (event,) = [one for one in told if one.kind == "drift.opened"]
    assert event.body["finding"]["id"] == found.id
    assert event.body["finding"]["unique_id"] == "load"
    query = "SELECT count(*) FROM webhook_deliveries WHERE kind = 'drift.opened'"
    assert rows.value(database, query) == 1
    query = "SELECT count(*) FROM job_events WHERE kind LIKE 'drift.%'"
    assert rows.value(database, query) == 1


@pytest.mark.servers
def test_a_training_is_submitted_once_for_each_finding(
    database, tenant_id, load, run, listed
):
    nights(database, tenant_id, actual=load, errors=[1.3] * 3)
    assert run(checks=["performance"])["retrain"] == []
    (job_id,) = run(checks=["performance"], retrain=TRAIN)["retrain"]
    assert run(checks=["performance"], retrain=TRAIN)["retrain"] == []
    job = rows.job(database, tenant_id, job_id)
    assert (job.type, job.params["series"]) == ("forecast.train", ["load"])
    assert job.params["name"] == "load.daily"
    (found,) = listed()
    assert found.retrain_job_id == job_id
    assert job.labels == {"finding": found.id}


@pytest.mark.servers
def test_findings_that_want_the_same_training_share_it(
    database, tenant_id, run, listed
):
    for key in ("a", "b"):
        store(database, tenant_id, key, season(), frequency="1h", tags=["load"])
        nights(database, tenant_id, actual=season(), errors=[1.3] * 3, key=key)
    whole = {"name": "load", "horizon": 24, "series": {"tag": "load"}}
    told = run(checks=["performance"], series={"tag": "load"}, retrain=whole)
    assert len(told["opened"]) == 2
    assert [one.retrain_job_id for one in listed()] == told["retrain"] * 2


@pytest.mark.servers
def test_a_training_that_is_refused_is_asked_for_again(
    database, tenant_id, load, run, listed
):
    limit = "INSERT INTO tenant_limits (tenant_id, max_queued) VALUES (:id, 0)"
    nights(database, tenant_id, actual=load, errors=[1.3] * 3)
    rows.change(database, limit, id=tenant_id)
    told = run(checks=["performance"], retrain=TRAIN)
    (refused,) = told["refused"]
    assert (told["retrain"], refused["id"]) == ([], listed()[0].id)
    assert "quota" in refused["detail"]
    rows.change(database, "DELETE FROM tenant_limits")
    assert len(run(checks=["performance"], retrain=TRAIN)["retrain"]) == 1


@pytest.mark.servers
def test_parts_find_what_the_whole_finds(database, tenant_id, run, monkeypatch, listed):
    for number, key in enumerate(("a", "b", "c")):
        values = season(seed=number)
        if key == "b":
            values[-28 * 24 :] = [value + 4 for value in values[-28 * 24 :]]
        store(database, tenant_id, key, values, frequency="1h")
        errors = [1.0 + number / 4] * 3
        nights(database, tenant_id, actual=values, errors=errors, key=key)
    monkeypatch.setattr(tasks.monitor, "PART_SERIES", 2)
    context = FakeContext(
        tenant_id=tenant_id, database=database, job_id=rows.queued(database, tenant_id)
    )
    params = MonitorParams()
    how = tasks.catalog.job_types()["forecast.monitor"].parts
    planned = how.split(params, context)
    assert [one.series for one in planned] == [["a", "b"], ["c"]]
    results = []
    for number, piece in enumerate(planned):
        context.part = number
        results.append(end(context, forecast_monitor(piece, context)))
    assert listed() == []
    context.part = None
    merged = end(context, how.merge(params, iter(results), context))
    found = [("b", "input"), ("b", "performance"), ("c", "performance")]
    assert sorted(kinds(merged["opened"])) == found
    whole = run()
    for name in ("series", "performance", "input", "open"):
        assert merged[name] == whole[name], name
    assert merged["matched"]["points"] == whole["matched"]["points"] == 9 * 24
    assert (whole["opened"], whole["closed"]) == ([], [])


@pytest.mark.servers
def test_another_tenant_s_series_of_the_same_name_are_left_alone(
    database, tenant_id, other_tenant_id, load, run
):
    store(database, other_tenant_id, "load", load, frequency="1h")
    nights(database, other_tenant_id, actual=load, errors=[1.3] * 3)
    told = run()
    assert (told["series"], told["opened"]) == (0, [])
    assert rows.value(database, "SELECT count(*) FROM forecast_scores") == 0


@pytest.mark.servers
def test_without_forecasts_there_is_nothing_to_find(run, load):
    told = run()
    assert (told["series"], told["opened"], told["open"]) == (0, [], 0)
    assert told["matched"] == {"forecasts": 0, "points": 0, "changed": 0}


@pytest.mark.servers
def test_a_series_that_is_not_there_fails_the_job_with_its_place(run, load):
    with pytest.raises(InvalidData) as caught:
        run(series=["load", "nothing"])
    assert caught.value.errors[0].pointer == "/params/series/1"


@pytest.mark.servers
def test_a_cancelled_job_stops(database, tenant_id, load):
    context = FakeContext(tenant_id=tenant_id, database=database, cancelled=True)
    with pytest.raises(JobCancelled):
        forecast_monitor(MonitorParams(), context)


def test_the_table_has_a_row_for_each_change():
    one = {"id": "drf_1", "unique_id": "a", "kind": "input", "forecaster": None}
    columns, table = as_table({"opened": [one], "closed": [one]})
    assert columns == ["change", "id", "unique_id", "kind", "forecaster"]
    assert table == [
        [kind, "drf_1", "a", "input", None] for kind in ("opened", "closed")
    ]


def test_a_training_is_for_the_series_that_drifts_unless_it_names_others():
    found = training({"name": "{series}"}, key="pjm:load")
    assert found == {"name": "pjm-load", "series": ["pjm:load"]}
    named = {"name": "all", "series": {"tag": "load"}}
    assert training(named, key="a") == named


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"series": []}, "at least 1 item"),
        ({"checks": []}, "at least 1 item"),
        ({"checks": ["luck"]}, "'performance' or 'input'"),
        ({"days": 0}, "greater than or equal to 1"),
        ({"worse_by": -0.1}, "greater than or equal to 0"),
        ({"alpha": 0}, "greater than 0"),
        ({"alpha": 0.3}, "less than or equal to 0.2"),
        ({"last": 0}, "greater than or equal to 1"),
        ({"retrain": {}}, "/params/name: Field required"),
        ({"retrain": {**TRAIN, "colour": "red"}}, "colour"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_params_that_cannot_be_used_are_refused(given, words):
    with pytest.raises(ValidationError, match=words):
        MonitorParams(**given)
