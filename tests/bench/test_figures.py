"""The bench's arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import MEASURES, Measure, compare, quantile, spread

TIMES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


def _round(value: float, **others: float) -> dict[str, float]:
    names = {name for one in MEASURES for name in (one.forebay, one.peer)}
    return dict.fromkeys(names, value) | others


def _line(lines, name: str):
    return next(line for line in lines if line.measure.name == name)


@given(TIMES, st.sampled_from([0.01, 0.5, 0.95, 1.0]))
def test_a_quantile_is_the_smallest_value_that_enough_values_do_not_exceed(
    values, level
):
    found = quantile(values, level)

    def share_within(limit: float) -> float:
        return sum(value <= limit for value in values) / len(values)

    assert share_within(found) >= level
    assert all(share_within(value) < level for value in values if value < found)


def test_the_p95_of_a_hundred_times_is_the_ninety_fifth():
    assert quantile(list(range(100, 0, -1)), 0.95) == 95


@pytest.mark.parametrize(("values", "level"), [([], 0.5), ([1.0], 0), ([1.0], 1.1)])
def test_a_quantile_of_nothing_is_an_error(values, level):
    with pytest.raises(ValueError, match="no quantile"):
        quantile(values, level)


@given(TIMES)
def test_a_spread_holds_the_median_between_its_ends(values):
    found = spread(values)
    assert found.low == min(values)
    assert found.high == max(values)
    assert found.low <= found.median <= found.high


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds():
    forebay = [_round(rate) for rate in (10.0, 90.0, 30.0)]
    peer = [_round(rate) for rate in (20.0, 30.0, 100.0)]
    line = _line(compare(forebay, peer), "submissions")
    assert (line.forebay.median, line.peer.median) == (30, 30)
    assert (line.ratio.low, line.ratio.median, line.ratio.high) == (0.3, 0.5, 3.0)


def test_sides_with_different_rounds_are_not_compared():
    with pytest.raises(ValueError, match="longer"):
        compare([_round(1.0)] * 2, [_round(1.0)] * 3)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_an_aim_is_met_on_its_good_side_only(measure: Measure):
    if measure.aim is None:
        lines = compare([_round(1.0)], [_round(1.0)])
        assert _line(lines, measure.name).met is None
        return
    for factor in (0.9, 1.0, 1.1):
        forebay = _round(1.0, **{measure.forebay: measure.aim * factor})
        peer = _round(1.0)
        line = _line(compare([forebay], [peer]), measure.name)
        good = factor >= 1 if measure.more_is_better else factor <= 1
        assert line.met is good


def test_batches_are_held_against_the_single_submissions_of_the_peer():
    lines = compare([_round(1.0, batch=5_000.0)], [_round(1.0, submissions=250.0)])
    assert _line(lines, "batch submissions").ratio.median == pytest.approx(20)
