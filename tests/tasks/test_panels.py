"""What a forecast may ask of a whole panel: sums that agree, futures to draw."""

import numpy as np
import pytest

from tasks.errors import InvalidData
from tasks.forecast import ForecastParams, forecast_run
from tests.fakes import FakeContext
from tests.tasks.series import daily, data


def _run(**given) -> dict:
    wish = {"horizon": 6, "model": "seasonal_naive", **given}
    params = ForecastParams.model_validate(wish)
    return dict(forecast_run(params, FakeContext()).result)


def _rows(*names: str) -> list[dict]:
    return [
        {**row, "unique_id": name}
        for number, name in enumerate(names)
        for row in data([10 + value * (number + 1) for value in daily(8)])
    ]


REGIONS = {"a": {"region": "n"}, "b": {"region": "n"}, "c": {"region": "s"}}


def test_the_forecasts_of_a_hierarchy_add_up():
    result = _run(
        data=_rows("a", "b", "c"),
        attributes=REGIONS,
        hierarchy={"levels": ["region"]},
    )
    means = {
        one["unique_id"]: np.array([point["mean"] for point in one["points"]])
        for one in result["series"]
    }
    assert list(means) == ["total", "region=n", "region=s", "a", "b", "c"]
    assert means["total"] == pytest.approx(means["a"] + means["b"] + means["c"])
    assert means["region=n"] == pytest.approx(means["a"] + means["b"])


def test_a_series_without_its_attribute_is_named():
    with pytest.raises(InvalidData, match="c has no attribute 'region'"):
        _run(
            data=_rows("a", "c"),
            attributes={"a": {"region": "n"}},
            hierarchy={"levels": ["region"]},
        )


def test_samples_are_drawn_for_each_series_and_lie_around_the_mean():
    result = _run(data=_rows("a", "b"), samples=50)
    for one in result["series"]:
        drawn = np.array(one["samples"])
        mean = np.array([point["mean"] for point in one["points"]])
        assert drawn.shape == (50, 6)
        assert (drawn.min(axis=0) < mean).all()
        assert (drawn.max(axis=0) > mean).all()
    first, second = (one["samples"] for one in result["series"])
    assert first != second


def test_samples_come_only_when_they_are_asked_for():
    assert "samples" not in _run(data=_rows("a"))["series"][0]
