"""What each strategy does with prices whose answer is known."""

import numpy as np
import pytest
from pydantic import ValidationError

from forecasting.bars import Bars, Forecasts
from forecasting.errors import InvalidSeries
from forecasting.strategies import combinations, find_strategy
from tests.forecasting.synthetic import days


def stances(name, prices, forecasts=None, **given):
    found = find_strategy(name)
    prices = np.array(prices, float)
    bars = Bars(times=days(prices.size), prices=prices, forecasts=forecasts)
    return found.decide(bars, found.parameters.model_validate(given)).tolist()


def issued(*forecasts):
    """Forecasts as (bar known from, first bar forecast, values)."""
    times = days(100)
    return Forecasts(
        known_from=np.array([times[at] for at, _, ys in forecasts for _ in ys]),
        times=np.array(
            [times[to + k] for _, to, ys in forecasts for k in range(len(ys))]
        ),
        values=np.array([y for _, _, ys in forecasts for y in ys], float),
    )


def test_an_unknown_strategy_is_told_those_there_are():
    with pytest.raises(
        ValueError, match="known are combined, mean_reversion, momentum"
    ):
        find_strategy("oracle")


def test_momentum_follows_the_change_over_the_lookback():
    prices = [10, 11, 12, 12, 11, 10, 12]
    assert stances("momentum", prices, lookback=2) == [0, 0, 1, 1, -1, -1, 1]


def test_momentum_of_negative_prices_rises_towards_zero():
    assert stances("momentum", [-10, -5, -20], lookback=1) == [0, 1, -1]


def test_momentum_enters_beyond_a_band_and_leaves_inside_it():
    prices = [100, 103, 106.09, 107.15, 107.2, 107.0]
    found = stances("momentum", prices, lookback=1, enter=0.02, leave=0.005)
    assert found == [0, 1, 1, 1, 0, 0]


def test_mean_reversion_stands_against_the_distance():
    # Of (10, 10, 10, 14) the mean is 11 and the deviation 2: the price is 1.5 above.
    prices = [10, 10, 10, 14, 10, 10, 10, 6]
    found = stances("mean_reversion", prices, window=4, enter=1.4)
    assert found == [0, 0, 0, -1, 0, 0, 0, 1]
    assert stances("mean_reversion", prices, window=4, enter=1.6) == [0] * 8


def test_mean_reversion_holds_until_the_mean_is_reached():
    prices = [10, 10, 10, 6, 8, 9, 9]
    found = stances("mean_reversion", prices, window=4, enter=1.4)
    # Means 9, 8.5, 8.25, 8: below at 6 and 8, above at 9.
    assert found == [0, 0, 0, 1, 1, 0, 0]


def test_trend_stands_with_the_fast_mean():
    prices = [1, 2, 3, 4, 3, 2, 1]
    assert stances("trend", prices, fast=1, slow=3) == [0, 0, 1, 1, -1, -1, -1]


def test_threshold_buys_below_a_level_and_leaves_at_it():
    prices = [100, 94, 97, 100, 101, 106, 103, 99]
    found = stances("threshold", prices, level=100, enter=0.05)
    assert found == [0, 1, 1, 1, 0, -1, -1, 0]


def test_threshold_follows_the_newest_forecast_known():
    forecasts = issued((1, 2, [105, 95, 100]), (3, 4, [90, 90]))
    found = stances("threshold", [100] * 7, forecasts, enter=0.02)
    # Bar 0 knows nothing; 1 sees 105, 2 sees 95; 3 and 4 see 90; 5 sees no further.
    assert found == [0, 1, -1, -1, -1, 0, 0]


def test_threshold_averages_the_bars_ahead():
    forecasts = issued((0, 1, [104, 100, 96]))
    assert stances("threshold", [100] * 4, forecasts, ahead=2) == [1, -1, 0, 0]
    assert stances("threshold", [100] * 4, forecasts, ahead=3) == [0, 0, 0, 0]
    assert stances("threshold", [100] * 4, forecasts, ahead=4) == [0, 0, 0, 0]


def test_a_forecast_counts_from_the_bar_it_was_known_at():
    forecasts = issued((2, 1, [200, 200, 200, 200]))
    assert stances("threshold", [100] * 4, forecasts) == [0, 0, 1, 1]


def test_threshold_without_forecast_or_level_is_refused():
    with pytest.raises(InvalidSeries, match="no forecasts"):
        stances("threshold", [1, 2])


def test_combined_follows_the_weighted_majority():
    prices = [100, 94, 97, 106, 107, 90]
    level = {"strategy": "threshold", "parameters": {"level": 100, "enter": 0.05}}
    rise = {"strategy": "momentum", "parameters": {"lookback": 1}}
    assert stances("combined", prices, members=[level]) == [0, 1, 1, -1, -1, 1]
    assert stances("combined", prices, members=[rise]) == [0, -1, 1, 1, 1, -1]
    assert stances("combined", prices, members=[level, rise]) == [0, 0, 1, 0, 0, 0]
    heavy = [{**level, "weight": 3.0}, rise]
    assert stances("combined", prices, members=heavy, share=0.4) == [0, 1, 1, -1, -1, 1]
    assert stances("combined", prices, members=heavy, share=0.5) == [0, 0, 1, 0, 0, 0]


def test_combined_needs_what_a_member_needs():
    schema = find_strategy("combined").parameters
    assert not schema().needs_forecasts
    one = {"strategy": "threshold"}
    assert schema.model_validate({"members": [one]}).needs_forecasts
    one = {"strategy": "threshold", "parameters": {"level": 1.0}}
    assert not schema.model_validate({"members": [one]}).needs_forecasts


@pytest.mark.parametrize(
    ("name", "given", "place", "words"),
    [
        ("momentum", {"lookback": 0}, ("lookback",), "greater than or equal to 1"),
        ("momentum", {"window": 3}, ("window",), "Extra inputs"),
        ("momentum", {"leave": 0.1}, ("leave",), "lies above enter"),
        ("mean_reversion", {"window": 1}, ("window",), "greater than or equal to 2"),
        ("trend", {"fast": 60}, ("slow",), "slow 50 must be above fast 60"),
        ("threshold", {"enter": -1}, ("enter",), "greater than or equal to 0"),
        ("combined", {"members": []}, ("members",), "at least 1 item"),
        (
            "combined",
            {"members": [{"strategy": "oracle"}]},
            ("members", 0, "strategy"),
            "unknown strategy; known are combined",
        ),
        (
            "combined",
            {"members": [{"strategy": "combined"}]},
            ("members", 0, "strategy"),
            "cannot be a member of itself",
        ),
        (
            "combined",
            {"members": [{"strategy": "trend", "parameters": {"fast": 0}}]},
            ("members", 0, "parameters", "fast"),
            "greater than or equal to 1",
        ),
    ],
)
def test_a_bad_parameter_is_named_by_its_place(name, given, place, words):
    with pytest.raises(ValidationError, match=words) as caught:
        find_strategy(name).parameters.model_validate(given)
    assert caught.value.errors()[0]["loc"] == place


def test_a_grid_is_walked_with_the_latest_name_fastest():
    tried = combinations(
        find_strategy("trend"),
        parameters={"enter": 0.1},
        grid={"fast": [2, 3], "slow": [8, 9]},
    )
    assert [(one.fast, one.slow, one.enter) for one in tried] == [
        (2, 8, 0.1),
        (2, 9, 0.1),
        (3, 8, 0.1),
        (3, 9, 0.1),
    ]
    with pytest.raises(ValueError, match="more than 64 combinations"):
        combinations(
            find_strategy("trend"), parameters={}, grid={"fast": list(range(1, 66))}
        )
