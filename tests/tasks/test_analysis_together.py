"""``analysis.run`` over several series at once."""

import json

import numpy as np
import orjson
import pytest

from tasks import analysis_together
from tasks.analysis import AnalysisParams, analysis_run, as_table
from tasks.errors import InvalidData
from tasks.inputs import inputs
from tests.fakes import FakeContext
from tests.tasks.series import HOUR, data

COUNT = 400
STRANGE = slice(300, 330)


def panel(**moved: float) -> list[dict]:
    """Three series of noise; some of them move in a stretch."""
    rng = np.random.default_rng(3)
    rows = []
    for name in ("a", "b", "c"):
        values = rng.normal(size=COUNT)
        values[STRANGE] += moved.get(name, 0.0)
        rows += data(values.tolist(), unique_id=name)
    return rows


def run(rows: list[dict], **more) -> dict:
    params = AnalysisParams.model_validate(
        {"data": rows, "mode": "multivariate", **more}
    )
    outcome = analysis_run(params, FakeContext())
    assert outcome.store is None
    return json.loads(orjson.dumps(outcome.result))


def test_series_that_move_together_are_one_event_with_its_contributors():
    found = run(panel(b=9.0, c=-8.0))["together"]
    assert found["names"] == ["a", "b", "c"]
    (event,) = [one for one in found["events"] if one["severity"] != "low"]
    shares = {one["unique_id"]: one["share"] for one in event["contributors"]}
    assert set(shares) == {"b", "c"}
    assert {one["unique_id"] for one in event["group"]} == {"b", "c"}
    assert event["explanation"]


def test_each_instant_has_a_score_and_a_strange_one_its_contributors():
    found = run(panel(b=9.0))["together"]
    assert len(found["points"]) == COUNT
    strange = [point for point in found["points"] if point["is_anomaly"]]
    assert strange
    assert {point["contributors"][0]["unique_id"] for point in strange} == {"b"}


def test_times_that_one_series_lacks_are_missing_there():
    rows = [row for number, row in enumerate(panel(b=9.0)) if number != 5]
    assert len(run(rows)["together"]["points"]) == COUNT


def test_one_series_alone_is_refused():
    with pytest.raises(InvalidData, match="1 series; give 2 to 200"):
        run(data([1.0] * 20))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("from", "2026-01-01T00:00:00Z"),
        ("direction", "up"),
        ("min_change", 3.0),
        ("time_zone", "Europe/Berlin"),
        (
            "calendar",
            [{"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}],
        ),
    ],
)
def test_what_it_would_not_heed_is_refused(name, given):
    with pytest.raises(ValueError, match=f"does not heed {name}"):
        run(panel(), **{name: given})


def test_too_many_series_are_refused_before_they_are_read(monkeypatch):
    def read(*_given):
        item = next(inputs(AnalysisParams.model_validate({"data": panel()}), None))
        yield 10_000, item[1]
        raise AssertionError

    monkeypatch.setattr(analysis_together, "inputs", read)
    with pytest.raises(InvalidData, match="10000 series; give 2 to 200"):
        run(panel())


def test_different_steps_are_refused():
    rows = data([1.0, 2.0] * 20) + data([1.0, 2.0] * 20, unique_id="b", step=2 * HOUR)
    with pytest.raises(InvalidData, match="the steps of the series differ"):
        run(rows)


def test_the_table_has_a_row_for_each_instant():
    columns, rows = as_table(run(panel()))
    assert columns == ["ds", "score", "is_anomaly", "severity"]
    assert len(rows) == COUNT


def test_change_points_bring_the_regimes_between_them():
    values = np.random.default_rng(0).normal(size=200)
    values[120:] += 20
    params = AnalysisParams.model_validate(
        {"data": data(values.tolist()), "mode": "changepoints"}
    )
    (found,) = analysis_run(params, FakeContext()).result["series"]
    first, second = found["regimes"]
    assert (first["count"], second["count"]) == (120, 80)
    assert first["level"] == pytest.approx(0, abs=1)
    assert second["level"] == pytest.approx(20, abs=1)
    assert second["end"] is None
