"""A panel that is a part of a larger one is filled as if it were whole."""

from datetime import UTC, datetime, timedelta

import numpy as np

from forecasting.fill import FillRules
from forecasting.forecast import ForecastOptions, PanelSeries
from forecasting.panel import pose

START = datetime(2024, 1, 1, tzinfo=UTC)
ZERO = FillRules(front="zero", back="zero")


def _series(name: str, first: int, count: int) -> PanelSeries:
    days = np.datetime64("2024-01-01", "us") + np.arange(first, first + count).astype(
        "m8[D]"
    )
    return PanelSeries(name, np.arange(1.0, count + 1), days)


def _values(panel, **more) -> dict[str, list[float]]:
    wish = ForecastOptions(horizon=1, frequency="D", rules=ZERO, **more)
    problems = pose(panel, options=wish).problems.values()
    return {one.unique_id: one.series.values.tolist() for one in problems}


def test_a_part_with_the_span_of_the_whole_is_filled_like_the_whole():
    panel = [_series("early", 0, 5), _series("late", 3, 7)]
    whole = _values(panel)
    assert whole["early"] == [1, 2, 3, 4, 5, 0, 0, 0, 0, 0]
    span = (START, START + timedelta(days=9))
    for one in panel:
        assert _values([one], span=span)[one.unique_id] == whole[one.unique_id]


def test_without_a_span_the_panel_has_its_own():
    assert _values([_series("late", 3, 2)]) == {"late": [1, 2]}


def test_the_span_may_be_told_in_any_zone():
    zone = START.astimezone(datetime(2024, 1, 1).astimezone().tzinfo or UTC)
    later = START + timedelta(days=4)
    series = [_series("a", 1, 3)]
    assert _values(series, span=(zone, later)) == _values(series, span=(START, later))
