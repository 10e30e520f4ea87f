import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.duplicates import one_value_each
from tests.forecasting.synthetic import hours

NAN = np.nan


def each(values, places, rule):
    times = hours(24)[list(places)]
    kept, found, notes = one_value_each(np.array(values, float), times, rule=rule)
    places = (found - times.min()) // np.timedelta64(1, "h") + min(places)
    return dict(zip(places.tolist(), kept.tolist(), strict=True)), notes


@pytest.mark.parametrize(
    ("rule", "value"), [("first", 1), ("last", 6), ("mean", 3), ("sum", 9)]
)
def test_several_values_become_one(rule, value):
    found, notes = each([1, 2, NAN, 6, 5], [0, 0, 0, 0, 3], rule)
    assert found == {0: value, 3: 5}
    assert notes == (
        f"times that came more than once: 1, in 4 rows; the {rule} of each was taken",
    )


def test_rows_out_of_order_are_sorted_and_that_is_said():
    found, notes = each([3, 1, 2], [2, 0, 1], "mean")
    assert found == {0: 1, 1: 2, 2: 3}
    assert notes == ("the rows were not in the order of time and have been sorted",)


def test_ties_keep_the_order_in_which_they_were_given():
    assert each([9, 1, 2], [5, 0, 0], "first")[0] == {0: 1, 5: 9}
    assert each([9, 1, 2], [5, 0, 0], "last")[0] == {0: 2, 5: 9}


def test_a_time_without_any_value_stays_missing():
    found, _ = each([NAN, NAN, 2], [0, 0, 1], "sum")
    assert np.isnan(found[0])
    assert found[1] == 2


def test_nothing_is_done_where_nothing_is_wrong_or_wanted():
    for rule, places in (("mean", [0, 1]), ("refuse", [1, 0]), ("refuse", [0, 0])):
        times = hours(24)[places]
        values = np.array([1.0, 2.0])
        kept, found, notes = one_value_each(values, times, rule=rule)
        assert (kept is values, found is times, notes) == (True, True, ())


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.floats(-9, 9) | st.just(NAN)), min_size=1),
    st.sampled_from(["first", "last", "mean", "sum"]),
)
def test_one_value_each_is_what_slow_code_finds(rows, rule):
    found, _ = each([value for _, value in rows], [place for place, _ in rows], rule)
    assert sorted(found) == sorted({place for place, _ in rows})
    for place, value in found.items():
        known = [v for p, v in rows if p == place and not np.isnan(v)]
        if known:
            choices = {"first": known[0], "last": known[-1], "sum": sum(known)}
            expected = choices.get(rule, sum(known) / len(known))
            assert value == pytest.approx(expected)
        else:
            assert np.isnan(value)
