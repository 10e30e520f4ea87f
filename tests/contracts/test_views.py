"""What every registered view promises."""

import math

import numpy as np
import pytest

from analysis.past import Past
from analysis.seen import Seen
from analysis.viewing import view
from analysis.views import views

COUNT = 400
every_view = pytest.mark.parametrize("seen", views(), ids=lambda one: one.name)


def readings(seen, values, *, season=24):
    past, found = Past(season=season), []
    for value in values:
        past.add(value)
        found.append(seen.read(past))
    return np.array(found)


def noise(seed=0):
    wave = 5 * np.sin(np.arange(COUNT) * np.pi / 12)
    return np.random.default_rng(seed).standard_normal(COUNT) + wave


@every_view
def test_a_reading_is_one_number_from_the_past_alone(seen):
    values = noise()
    other = values.copy()
    other[300:] = -1e9
    first, second = readings(seen, values), readings(seen, other)
    np.testing.assert_array_equal(first[:300], second[:300])
    assert np.isfinite(first[200:]).all()


@every_view
def test_a_reading_scales_with_the_values(seen):
    values = noise(1)
    np.testing.assert_allclose(
        readings(seen, 8 * values), 8 * readings(seen, values), rtol=1e-9, atol=1e-9
    )


@every_view
def test_differences_of_readings_do_not_depend_on_the_level(seen):
    values = noise(2)
    moved, plain = readings(seen, values + 1000), readings(seen, values)
    np.testing.assert_allclose(np.diff(moved), np.diff(plain), atol=1e-9)


@every_view
@pytest.mark.parametrize("values", [[], [1.0], [math.nan] * 5, [1.0, math.nan, 2.0]])
def test_few_and_missing_values_break_nothing(seen, values):
    assert len(readings(seen, values)) == len(values)


@every_view
@pytest.mark.parametrize("level", [0.0, 3.0, 1e308, -1e308])
def test_a_constant_series_is_never_strange(seen, level):
    past, one = Past(season=24), Seen(seen)
    for _ in range(100):
        past.add(level)
        assert one.surprise(past) == 0
        one.learn()


@every_view
def test_looking_learns_nothing(seen):
    past, one = Past(season=24), Seen(seen)
    for value in noise(3):
        past.add(value)
        first = one.surprise(past)
        assert one.surprise(past) == first
        one.learn()
    assert 0 < len(one.distances) <= COUNT


@every_view
def test_a_weight_is_a_share_and_the_words_are_there(seen):
    assert 0 < seen.weight <= 1
    assert seen.words == seen.words.strip()
    assert len(seen.words) > 3


@every_view
def test_a_name_is_taken_once(seen):
    with pytest.raises(ValueError, match=seen.name):
        view(seen.name, weight=1.0, nearest=True, words="x")(seen.read)
