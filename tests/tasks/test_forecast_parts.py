"""``forecast.run`` over a panel in parts: what is stored, told, and left out."""

import json
from datetime import timedelta

import orjson
import pytest
from pydantic import ValidationError

from db import forecast_stream
from tasks import heads
from tasks.catalog import job_types
from tasks.errors import InvalidData
from tasks.forecast import ForecastParams
from tests.db import rows
from tests.fakes import FakeContext
from tests.tasks.series import HOUR, START, daily, data, store

KIND = job_types()["forecast.run"]


def _params(**given) -> ForecastParams:
    return ForecastParams.model_validate({"horizon": 3, "model": "naive", **given})


class World:
    """A job over the series of a tenant, whole or in parts."""

    def __init__(self, database, tenant_id):
        self.database, self.tenant_id = database, tenant_id

    def context(self, job_id="job_fake", part=None) -> FakeContext:
        return FakeContext(
            tenant_id=self.tenant_id, database=self.database, job_id=job_id, part=part
        )

    def run(self, params, context) -> dict:
        """Run the handler and store what it gives."""
        outcome = KIND.handler(params, context)
        with self.database.tenant(self.tenant_id) as connection:
            added = outcome.store(connection)
        return json.loads(orjson.dumps({**outcome.result, **added}))

    def in_parts(self, params) -> tuple[str, dict, list[dict]]:
        """Split, run each part, and join; return the job, the result, the parts'."""
        job_id = rows.queued(self.database, self.tenant_id)
        parts = KIND.parts.split(params, self.context(job_id))
        results = [
            self.run(
                ForecastParams.model_validate_json(one.model_dump_json()),
                self.context(job_id, part=number),
            )
            for number, one in enumerate(parts)
        ]
        outcome = KIND.parts.merge(params, iter(results), self.context(job_id))
        return job_id, json.loads(orjson.dumps(outcome.result)), results

    def points(self, job_id) -> list[dict]:
        with self.database.tenant(self.tenant_id) as connection:
            asked = {"tenant_id": self.tenant_id, "job_id": job_id}
            named = forecast_stream.levels(connection, **asked)
            batches = forecast_stream.stream(connection, **asked, named=named)
            return [row for batch in batches for row in batch.to_pylist()]


@pytest.fixture
def world(database, tenant_id) -> World:
    return World(database, tenant_id)


@pytest.fixture
def kept(database, tenant_id) -> list[str]:
    """Five series of which one is too short."""
    for number, key in enumerate("abcde"):
        values = [at + number for at in daily(3)] if key != "d" else [1.0]
        store(database, tenant_id, key, values, tags=["all"], frequency="1h")
    return [*"abcde"]


def _rows(result) -> list[tuple]:
    _, table = KIND.table(result)
    return [tuple(row) for row in table]


def _means(result) -> list[tuple]:
    """Leave out the quantiles, which the series of a panel learn from each other."""
    return [row[:4] for row in _rows(result)]


def _streamed(points) -> list[tuple]:
    return [
        (
            row["unique_id"],
            row["ds"].isoformat().replace("+00:00", "Z"),
            *(row[name] for name in ("model", "mean", "q0.1", "q0.5", "q0.9")),
        )
        for row in points
    ]


@pytest.mark.servers
def test_a_small_panel_in_parts_keeps_its_points_and_the_order_of_the_request(
    world, kept
):
    wanted = ["e", "b", "a", "c"]
    params = _params(series=wanted, panel=2)
    job_id, result, _ = world.in_parts(params)
    assert [one["unique_id"] for one in result["series"]] == wanted
    assert sorted(_rows(result)) == _streamed(world.points(job_id))
    whole = world.run(
        _params(series=wanted),
        world.context(rows.queued(world.database, world.tenant_id)),
    )
    assert _means(whole) == _means(result)


@pytest.mark.servers
def test_a_brief_result_has_a_head_and_its_points_are_stored(world, kept):
    params = _params(series=kept, brief=True)
    job_id = rows.queued(world.database, world.tenant_id)
    brief = world.run(params, world.context(job_id))
    assert "series" not in brief
    assert (brief["series_total"], brief["points_total"]) == (4, 12)
    assert [one["unique_id"] for one in brief["failed"]] == ["d"]
    assert brief["failed_total"] == 1
    assert brief["points_url"] == f"/v1/jobs/{job_id}/forecasts"
    whole = KIND.handler(_params(series=kept), world.context()).result
    assert _streamed(world.points(job_id)) == _rows(whole)
    mases = [one["evaluation"]["mase"] for one in whole["series"]]
    assert brief["metrics"]["mase"]["mean"] == pytest.approx(sum(mases) / 4)
    assert brief["metrics"]["mase"]["series"] == 4
    assert brief["panels"] == json.loads(orjson.dumps(whole["panels"]))


@pytest.mark.servers
@pytest.mark.parametrize(("series", "points"), [(4, 10**6), (1_000, 14)])
def test_a_panel_above_the_limit_is_brief_in_every_part(
    world, kept, monkeypatch, series, points
):
    monkeypatch.setattr(heads, "MOST_SERIES", series)
    monkeypatch.setattr(heads, "MOST_POINTS", points)
    job_id, result, parts = world.in_parts(_params(series={"tag": "all"}, panel=2))
    assert [one["series_total"] for one in parts] == [2, 1, 1]
    assert all("series" not in one for one in parts)
    assert (result["series_total"], result["points_total"]) == (4, 12)
    assert (result["failed_total"], result["parts"]) == (1, 3)
    assert len(world.points(job_id)) == 12


@pytest.mark.servers
def test_a_part_without_an_answer_does_not_fail_the_others(world, kept):
    job_id, result, parts = world.in_parts(_params(series=kept, panel=1))
    assert [len(one["series"]) for one in parts] == [1, 1, 1, 0, 1]
    assert [one["unique_id"] for one in result["failed"]] == ["d"]
    assert len(world.points(job_id)) == 12


@pytest.mark.servers
def test_a_whole_job_without_an_answer_fails(world, kept):
    with pytest.raises(InvalidData, match="d: 1 observations are too few"):
        KIND.handler(_params(series=["d"]), world.context())


@pytest.mark.servers
@pytest.mark.parametrize("brief", [False, True])
def test_parts_without_any_answer_fail_together(world, database, tenant_id, brief):
    for key in "xy":
        store(database, tenant_id, key, [1.0])
    with pytest.raises(InvalidData, match=r"x: 1 obs.*y: 1 obs"):
        world.in_parts(_params(series=["x", "y"], panel=1, brief=brief))


def test_rows_of_the_request_are_told_whole_even_if_brief_is_asked():
    params = _params(data=data(daily(3)), brief=True)
    (found,) = KIND.handler(params, FakeContext()).result["series"]
    assert len(found["points"]) == 3


@pytest.mark.servers
def test_parts_fill_to_the_ends_of_the_whole_panel(world, database, tenant_id):
    store(database, tenant_id, "long", [1.0 + at % 3 for at in range(60)])
    store(database, tenant_id, "short", [2.0 + at % 2 for at in range(40)])
    asked = {"series": ["long", "short"], "fill": {"back": "zero"}}
    whole = KIND.handler(_params(**asked), world.context()).result
    cutoff = (START + timedelta(hours=59)).isoformat().replace("+00:00", "Z")
    assert {one["cutoff"] for one in whole["series"]} == {cutoff}
    _, result, _ = world.in_parts(_params(**asked, panel=1))
    assert _means(result) == _means(whole)


@pytest.mark.parametrize(
    "given",
    [
        {"samples": 3},
        {"hierarchy": {"levels": ["region"]}, "attributes": {"a": {"region": "n"}}},
    ],
)
def test_what_no_row_holds_is_not_left_out_of_a_result(given):
    with pytest.raises(ValidationError, match="leave out brief"):
        _params(series=["a"], brief=True, **given)


@pytest.mark.servers
def test_samples_of_a_large_panel_are_refused_before_the_split(
    world, kept, monkeypatch
):
    monkeypatch.setattr(heads, "MOST_POINTS", 14)
    params = _params(series=kept, samples=2)
    with pytest.raises(InvalidData, match="ask for fewer series or steps"):
        KIND.parts.split(params, world.context())


def test_a_span_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValidationError, match="earlier time first"):
        _params(series=["a"], span=[START, START - HOUR])
