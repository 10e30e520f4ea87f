"""What was known of a series at a cutoff, beside a slow loop."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.comparison import compare
from forecasting.errors import InvalidSeries
from forecasting.grid import RegularSeries
from forecasting.options import ForecastOptions
from forecasting.panel import PanelSeries
from forecasting.vintages import Vintages

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2024-01-01", "us")
LENGTH = 6
VERSION = st.tuples(
    st.integers(0, LENGTH - 1),
    st.integers(-2, LENGTH + 3),
    st.sampled_from([1.0, 2.0, 3.0, np.nan]),
)


def naive_history(rows, grid, observed, cutoff: int) -> list[float]:
    """What each time was said to be, looked up one by one."""
    found = []
    for hour in range(cutoff + 1):
        told = sorted(row for row in rows if row[0] == hour)
        known = [row for row in told if row[1] <= cutoff] or told[:1]
        if known:
            found.append(known[-1][2])
        else:
            found.append(grid[hour] if observed[hour] else np.nan)
    latest = np.nan
    for hour, value in enumerate(found):
        latest = latest if np.isnan(value) else value
        found[hour] = latest
    first = next((value for value in found if not np.isnan(value)), np.nan)
    return [first if np.isnan(value) else value for value in found]


@given(
    rows=st.lists(VERSION, unique_by=lambda row: row[:2], max_size=12),
    observed=st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH),
    cutoff=st.integers(0, LENGTH - 1),
)
@settings(deadline=None, max_examples=200)
def test_a_history_is_that_of_the_slow_loop(rows, observed, cutoff):
    rows.sort(key=lambda row: row[:2])
    series = RegularSeries(
        START + np.arange(LENGTH) * HOUR,
        np.arange(LENGTH) + 10.0,
        np.array(observed),
        (),
    )
    expected = naive_history(rows, series.values, observed, cutoff)
    vintages = made(rows)
    if np.isnan(expected).all():
        with pytest.raises(InvalidSeries, match="no value was known"):
            vintages.history(series, cutoff=cutoff)
    else:
        assert vintages.history(series, cutoff=cutoff).tolist() == expected


def made(rows) -> Vintages:
    columns = [np.array([row[at] for row in rows]) for at in range(3)]
    return Vintages(
        times=START + columns[0].astype("i8") * HOUR,
        known=START + columns[1].astype("i8") * HOUR,
        values=columns[2].astype(float),
    )


def _panel(values, revised) -> PanelSeries:
    """A series whose values were first released, and revised long afterwards."""
    count = len(values)
    times = START + np.arange(count) * HOUR
    vintages = Vintages(
        times=np.repeat(times, 2),
        known=np.repeat(times, 2) + np.tile([0, 1_000], count) * HOUR,
        values=np.column_stack([values, revised]).ravel(),
    )
    return PanelSeries("a", np.asarray(revised, float), times, vintages=vintages)


def test_a_backtest_reads_what_was_released_and_is_scored_by_what_is_true():
    released = np.tile(np.arange(24.0), 8)
    revised = released + 100.0
    options = ForecastOptions(
        horizon=12, frequency="1h", model="seasonal_naive", windows=2
    )
    then = compare([_panel(released, revised)], options=options)
    now = compare([replace(_panel(released, revised), vintages=None)], options=options)
    (told,) = [one for one in then.contenders if one.name == "seasonal_naive"]
    (beside,) = [one for one in now.contenders if one.name == "seasonal_naive"]
    assert told.evaluation.mae == pytest.approx(100.0)
    assert beside.evaluation.mae == pytest.approx(0.0)


@pytest.mark.parametrize("model", ["theta", "lightgbm"])
def test_later_revisions_never_change_the_forecasts_of_a_backtest(model):
    generator = np.random.default_rng(7)
    released = np.tile(np.arange(24.0), 8) + generator.normal(size=192)
    options = ForecastOptions(horizon=12, frequency="1h", model=model, windows=2)
    errors = []
    for shift in (0.0, 50.0):
        # Only what both windows are scored by is the same: the latest day.
        revised = released + np.where(np.arange(192) < 168, shift, 0.0)
        found = compare([_panel(released, revised)], options=options)
        (one,) = [one for one in found.contenders if one.name == model]
        errors.append(one.evaluation.mae)
    assert errors[0] == errors[1]
