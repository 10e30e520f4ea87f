import numpy as np
import pytest

from analysis.stretches import find_spread_changes, find_stretches


def noise(count, *, seed=0):
    return np.random.default_rng(seed).normal(size=count)


def told(level):
    """Return kind and place of what lasted, to the nearest ten steps."""
    return [
        (one.kind, round(one.start, -1), round(one.stop, -1))
        for one in find_stretches(level, season=1)
        if one.kind in ("spike", "dip")
    ]


@pytest.mark.parametrize("second", [-3.5, 3.5, 8.0])
def test_an_excursion_right_after_another_is_one_too(second):
    level = noise(6000)
    level[1000:1060] -= 8
    level[1062:1120] += second
    found = told(level)
    # The level before both is what both are compared with.
    if second > 0:
        kinds = [("dip", 1000, 1060), ("spike", 1060, 1120)]
    else:
        kinds = [("dip", 1000, 1120)]
    assert found == kinds


def test_after_excursions_the_next_one_is_still_told_by_its_sign():
    level = noise(4000, seed=1)
    for start, size in ((1000, -8), (1062, -3.5), (1500, -5), (2000, 6)):
        level[start : start + 60] += size
    assert [kind for kind, _, _ in told(level)] == ["dip", "dip", "spike"]


def test_what_comes_back_to_another_level_has_shifted_too():
    level = noise(4000, seed=2)
    level[1000:1060] += 8
    level[1060:] += 3
    kinds = [one.kind for one in find_stretches(level, season=1)]
    assert kinds == ["spike", "level_shift"]


@pytest.mark.parametrize("times", [3.0, 1 / 3])
def test_a_change_of_spread_is_placed_and_measured(times):
    for seed in range(5):
        sizes = noise(1200, seed=seed)
        sizes[600:] *= times
        (one,) = find_spread_changes(sizes)
        assert abs(one.start - 600) <= 20
        assert one.during / one.before == pytest.approx(times, rel=0.25)


def test_steady_noise_has_no_change_of_spread():
    rng = np.random.default_rng(3)
    for sizes in (
        rng.normal(size=3000),
        rng.standard_t(2, size=3000),
        np.round(rng.normal(size=3000)),
        rng.integers(0, 2, 3000) * 1.0,
        np.ones(3000),
    ):
        assert [one for one in find_spread_changes(sizes) if one.surprise >= 1] == []
