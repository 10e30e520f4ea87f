import numpy as np
import pytest

from forecasting.errors import InvalidSeries
from forecasting.forecast import ForecastOptions, PanelSeries
from forecasting.hierarchy import build_hierarchy, forecast_hierarchy
from tests.forecasting.synthetic import hours, wave


def bottom(name, region, *, points=120, seed=0, skip=0):
    values = wave(points, season=24, noise=1.0, seed=seed)
    return PanelSeries(
        name,
        values[skip:],
        hours(points)[skip:],
        attributes=(("region", region),),
    )


def three():
    return [
        bottom("a", "north", seed=1),
        bottom("b", "north", seed=2),
        bottom("c", "south", seed=3),
    ]


def options(**wish):
    return ForecastOptions(
        **({"horizon": 6, "frequency": "1h", "model": "seasonal_naive"} | wish)
    )


def test_sums_are_named_by_their_attributes():
    found = build_hierarchy(three(), levels=["region"])
    names = [one.unique_id for one in found.nodes]
    assert names == ["total", "region=north", "region=south", "a", "b", "c"]
    assert found.summing[:3].tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 1]]
    total = sum(one.values for one in three())
    assert found.nodes[0].values == pytest.approx(total)


def test_a_sum_is_known_where_all_of_its_series_are():
    series = [bottom("a", "north"), bottom("b", "north", skip=24)]
    series[1].values[3] = np.nan
    total = build_hierarchy(series, levels=[]).nodes[0]
    assert total.values.size == 120 - 24 - 1
    assert hours(120)[27] not in total.times


@pytest.mark.parametrize("method", ["bottom_up", "wls", "mint"])
def test_the_forecasts_of_a_hierarchy_add_up(method):
    hierarchy = build_hierarchy(three(), levels=["region"])
    found = forecast_hierarchy(hierarchy, method=method, options=options())
    means = np.array([one.mean for one in found.series])
    assert means == pytest.approx(hierarchy.summing @ means[-3:])
    for one in found.series:
        assert (one.quantiles[0.1] < one.mean).all()
        assert (one.mean < one.quantiles[0.9]).all()


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ([bottom("a", "north"), PanelSeries("b", np.ones(9), hours(9))], "b has no"),
        ([bottom("total", "north")], "called 'total' like a sum"),
    ],
)
def test_what_cannot_be_summed_is_named(series, words):
    with pytest.raises(InvalidSeries, match=words):
        build_hierarchy(series, levels=["region"])


def test_series_that_never_meet_have_no_sum():
    early, late = bottom("a", "n"), bottom("b", "n")
    late = PanelSeries("b", late.values, late.times + np.timedelta64(400, "h"))
    with pytest.raises(InvalidSeries, match="'total' have no time in common"):
        build_hierarchy([early, late], levels=[])


def test_nodes_that_end_apart_are_refused():
    longer = bottom("a", "n", points=121)
    hierarchy = build_hierarchy([longer, bottom("b", "n")], levels=[])
    with pytest.raises(InvalidSeries, match="needs one end"):
        forecast_hierarchy(hierarchy, method="wls", options=options())


def test_samples_of_a_hierarchy_are_refused():
    hierarchy = build_hierarchy(three(), levels=[])
    with pytest.raises(InvalidSeries, match="would not add up"):
        forecast_hierarchy(hierarchy, method="wls", options=options(samples=9))
