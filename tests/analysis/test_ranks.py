import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.ranks import Ranks
from tests.analysis import naive_streams as naive

whole = st.lists(st.integers(0, 30).map(float), min_size=1, max_size=40)


@settings(deadline=None, max_examples=60)
@given(numbers=whole, number=st.integers(0, 30), limit=st.integers(1, 40))
def test_ranks_are_those_of_the_latest_numbers(numbers, number, limit):
    ranks = Ranks(limit)
    for one in numbers:
        ranks.add(one)
    kept = numbers[-limit:]
    assert ranks.ascending == sorted(kept)
    assert list(ranks.newest_last) == kept
    assert ranks.nearest(number) == min(abs(one - number) for one in kept)
    if number <= max(kept):
        assert ranks.surprise(number) == pytest.approx(
            naive.conformal_surprise(kept, number)
        )


@pytest.mark.parametrize(("count", "index"), [(12, 1.0), (36, 1.5)])
def test_beyond_the_largest_a_power_goes_on_that_few_numbers_make_heavier(count, index):
    ranks = Ranks(99, [4.0] * count)
    found = ranks.surprise(40.0) - math.log10(count + 1)
    assert found == pytest.approx(index)


def test_numbers_below_the_floor_do_not_stretch_what_is_beyond_them():
    ranks = Ranks(99, [1e-15] * 12)
    found = ranks.surprise(10.0, floor=1.0) - math.log10(13)
    assert found == pytest.approx(1.0)


def test_an_equal_number_that_is_rounded_is_no_larger_one():
    ranks = Ranks(9)
    for _ in range(8):
        ranks.add(0.1)
    assert ranks.surprise(0.1) == 0


def test_numbers_beyond_single_precision_are_kept_as_the_largest():
    ranks = Ranks(9)
    ranks.add(1e300)
    assert ranks.nearest(0.0) == pytest.approx(3.4e38)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99), share=st.floats(0.01, 0.99))
def test_a_quantile_leaves_the_promised_share_above(seed, share):
    numbers = np.random.default_rng(seed).standard_normal(200).astype(np.float32)
    above = np.mean(numbers > Ranks(200, numbers.tolist()).quantile(share))
    assert abs(above - (1 - share)) <= 2 / 200
