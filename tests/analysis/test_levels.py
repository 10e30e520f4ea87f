"""Lasting changes of level beside a stream of the same points."""

import json

import numpy as np
import pytest

from analysis.levels import Levels
from analysis.records import AnalysisOptions, Label
from analysis.stream import Stream

START = np.datetime64("2024-01-01T00", "us")
HOUR = np.timedelta64(1, "h")


def listen(values, *, restart_at: int | None = None, **asked):
    """Push hourly values; the state may go through JSON on the way."""
    options = AnalysisOptions("1h", **asked)
    stream, levels = Stream(options), Levels(options)
    found = []
    for step, value in enumerate(map(float, values)):
        if step == restart_at:
            state = json.loads(json.dumps(levels.as_state()))
            levels = Levels.from_state(state, options=options)
        time = START + step * HOUR
        found.append(levels.push(stream, value, time=time))
        stream.push(value, time=time)
    return [one for one in found if one]


def noise(count: int = 700, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count)


def moved(size: float, *, at: int = 500) -> np.ndarray:
    values = noise()
    values[at:] += size
    return values


@pytest.mark.parametrize(("size", "side"), [(5.0, "up"), (-5.0, "down")])
def test_a_level_that_stays_is_told_once_with_both_levels(size, side):
    (found,) = listen(moved(size), season=1)
    assert (found.kind, found.direction) == ("level_shift", side)
    assert abs((found.start - (START + 500 * HOUR)) / HOUR) <= 10
    assert found.value - found.expected == pytest.approx(size, abs=1.5)
    assert found.evidence["reading"] > found.evidence["threshold"]
    assert found.end > found.start
    assert found.score > 0.5


def test_the_season_of_the_series_is_no_change():
    cycle = 10 * np.sin(np.arange(700) * np.pi / 12)
    assert listen(noise() + cycle) == []
    found = listen(moved(8.0) + cycle)
    assert [one.direction for one in found] == ["up"]


def test_one_side_and_a_dead_band_keep_silent():
    assert listen(moved(5.0), season=1, direction="down") == []
    assert listen(moved(5.0), season=1, min_change=20.0) == []


@pytest.mark.parametrize("restart_at", [50, 450, 502])
def test_a_state_goes_on_as_if_it_had_never_stopped(restart_at):
    values = moved(5.0)
    assert listen(values, season=1) == listen(values, season=1, restart_at=restart_at)


def test_gaps_are_no_change():
    values = noise()
    values[300:400] = np.nan
    assert listen(values, season=1) == []


@pytest.mark.parametrize("verdict", ["expected", "false"])
def test_a_level_that_people_said_to_be_nothing_keeps_silent(verdict):
    told = Label(START + 490 * HOUR, START + 530 * HOUR, verdict)
    assert listen(moved(5.0), season=1, labels=(told,)) == []
    (found,) = listen(moved(5.0, at=560), season=1, labels=(told,))
    assert abs((found.start - (START + 560 * HOUR)) / HOUR) <= 10


def test_a_stretch_that_was_expected_is_neither_learnt_nor_told():
    values = noise()
    values[480:500] += 6.0
    (came, *_) = listen(values, season=1)
    assert came.kind == "level_shift"
    told = Label(START + 480 * HOUR, START + 500 * HOUR, "expected")
    assert listen(values, season=1, labels=(told,)) == []
