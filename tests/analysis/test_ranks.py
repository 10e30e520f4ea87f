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


def test_ten_times_the_largest_is_ten_times_as_rare():
    ranks = Ranks(99, [1.0, 2.0, 4.0])
    assert ranks.surprise(40.0) == pytest.approx(math.log10(4) + 1)


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
