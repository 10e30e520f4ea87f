"""What every strategy on the shelf promises; a new file is tested with no edit here."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import forecasting.strategies
from forecasting.bars import Bars, Forecasts
from forecasting.strategies import registered_strategies, strategy
from tests.forecasting.synthetic import days, wave

STRATEGIES = registered_strategies()
every_strategy = pytest.mark.parametrize("name", STRATEGIES)
ROOT = Path(forecasting.strategies.__file__).parents[2]


def bars_of(prices):
    """Bars, and at each a forecast of the next three that a later price may change."""
    times = days(prices.size + 3)
    known_from = np.repeat(times[: prices.size], 3)
    steps = np.arange(prices.size)[:, None] + np.arange(1, 4)
    values = np.repeat(prices, 3) * (1 + 0.02 * np.sin(steps.ravel()))
    return Bars(
        times=times[: prices.size],
        prices=prices,
        forecasts=Forecasts(
            known_from=known_from, times=times[steps.ravel()], values=values
        ),
    )


def decide(name, prices, **given):
    found = STRATEGIES[name]
    return found.decide(bars_of(prices), found.parameters.model_validate(given))


def test_a_file_is_a_strategy_of_its_name():
    files = Path(forecasting.strategies.__file__).parent.glob("*.py")
    names = {path.stem for path in files} - {"__init__"}
    assert set(STRATEGIES) == names
    assert {"threshold", "momentum", "mean_reversion", "trend", "combined"} <= names


@every_strategy
def test_stances_are_long_flat_or_short_one_a_bar(name):
    stances = decide(name, wave(200, season=30, noise=2.0))
    assert (stances.shape, stances.dtype) == ((200,), np.int8)
    assert set(stances.tolist()) <= {-1, 0, 1}
    assert len(set(stances.tolist())) > 1


@every_strategy
def test_the_same_prices_give_the_same_stances(name):
    prices = wave(200, season=30, noise=2.0)
    prices.flags.writeable = False
    before = prices.tobytes()
    assert decide(name, prices).tobytes() == decide(name, prices).tobytes()
    assert prices.tobytes() == before


@every_strategy
@settings(deadline=None, max_examples=40)
@given(
    prices=st.lists(
        st.floats(-500, 3_000).map(lambda price: round(price, 2)),
        min_size=1,
        max_size=120,
    ),
    bar=st.integers(0, 119),
    after=st.sampled_from([-1e9, 0.0, 50.0, 1e9]),
)
def test_what_comes_after_a_bar_changes_nothing_decided_up_to_it(
    name, prices, bar, after
):
    prices = np.array(prices)
    bar = min(bar, prices.size - 1)
    changed = prices.copy()
    changed[bar + 1 :] = after
    whole = decide(name, prices)[: bar + 1].tolist()
    assert decide(name, changed)[: bar + 1].tolist() == whole
    assert decide(name, prices[: bar + 1]).tolist() == whole


@every_strategy
@pytest.mark.parametrize("value", [0.0, -5.0, 1e12, 1e-9])
def test_a_flat_market_is_left_alone(name, value):
    flat = np.full(150, value)
    found = STRATEGIES[name]
    bars = Bars(
        times=days(150),
        prices=flat,
        forecasts=Forecasts(known_from=days(149), times=days(150)[1:], values=flat[1:]),
    )
    assert not found.decide(bars, found.parameters()).any()


@every_strategy
@pytest.mark.parametrize("bars", [1, 2, 5])
def test_a_short_market_is_no_fault(name, bars):
    assert decide(name, wave(bars, season=7)).shape == (bars,)


@every_strategy
def test_parameters_are_closed_described_and_survive_json(name):
    schema = STRATEGIES[name].parameters
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        schema.model_validate({"colour": "red"})
    assert schema.model_config["frozen"]
    filled = schema().model_dump(mode="json")
    assert schema.model_validate(filled).model_dump(mode="json") == filled
    for number in ("nan", "inf"):
        for field, value in filled.items():
            if isinstance(value, float):
                with pytest.raises(ValidationError):
                    schema.model_validate({field: float(number)})


def test_a_name_is_taken_only_once():
    found = STRATEGIES["trend"]
    with pytest.raises(ValueError, match="two strategies are called 'trend'"):
        strategy("trend", parameters=found.parameters)(found.decide)


def test_parameters_are_read_without_the_numeric_stack():
    """The web door checks them, and has no numpy."""
    code = (
        "import sys; from forecasting.strategies import registered_strategies; "
        "[one.parameters() for one in registered_strategies().values()]; "
        "print(sorted({'numpy', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
