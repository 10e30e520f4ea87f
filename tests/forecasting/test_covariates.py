import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.covariates import FILLS, Covariate, Holidays, align
from forecasting.errors import InvalidSeries
from forecasting.holiday_columns import holiday_columns
from tests.forecasting import naive
from tests.forecasting.synthetic import hours

NAN = np.nan
GRID = hours(24)


def covariate(values, *, places=None, issued=None, name="x", **more):
    values = np.array(values, float)
    places = np.arange(values.size) if places is None else np.array(places, int)
    if issued is not None:
        issued = GRID[0] + np.array(issued) * np.timedelta64(1, "h")
    return Covariate(
        name=name, times=GRID[places], values=values, issued=issued, **more
    )


def beside(*covariates, cutoff=3, horizon=2):
    return align(
        covariates,
        grid_times=GRID[: cutoff + 1],
        cutoff_time=GRID[cutoff],
        future_times=GRID[cutoff + 1 : cutoff + 1 + horizon],
    )


def test_a_covariate_lies_beside_the_history_and_the_horizon():
    found = beside(covariate([1, 2, 3, 4, 5, 6]))
    assert found.names == ("x",)
    assert found.past.tolist() == [[1], [2], [3], [4]]
    assert found.future.tolist() == [[5], [6]]
    assert found.notes == ()


def test_without_any_there_are_no_columns():
    found = beside()
    assert (found.names, found.past.shape, found.future.shape) == ((), (4, 0), (2, 0))


def test_rows_may_come_in_any_order():
    found = beside(covariate([6, 1, 3, 2, 5, 4], places=[5, 0, 2, 1, 4, 3]))
    assert found.past.tolist() == [[1], [2], [3], [4]]


def test_what_is_known_for_the_past_only_has_no_future():
    past = covariate([1, 2, 3, 4, 5, 6], future=False)
    found = beside(past, covariate([0] * 6, name="y"))
    assert np.isnan(found.future[:, 0]).all()
    assert found.future[:, 1].tolist() == [0, 0]
    assert found.past[:, 0].tolist() == [1, 2, 3, 4]


def test_the_latest_issue_that_was_known_counts():
    rows = covariate(
        [1, 2, 30, 31, 32, 40, 41, 50],
        places=[0, 1, 2, 2, 2, 3, 3, 4],
        issued=[0, 0, 0, 2, 4, 0, 3, 1],
    )
    assert beside(rows, cutoff=3, horizon=1).past.ravel().tolist() == [1, 2, 31, 41]
    assert beside(rows, cutoff=2, horizon=2).future.ravel().tolist() == [40, 50]
    with pytest.raises(InvalidSeries, match=r"2024-01-01T04:00:00.* that was known at"):
        beside(rows, cutoff=0, horizon=4)


def test_an_issue_may_withdraw_a_value():
    rows = covariate([1, 2, 3, NAN], places=[0, 1, 2, 1], issued=[0, 0, 0, 1])
    found = beside(rows, cutoff=1, horizon=1)
    assert found.past.ravel().tolist() == [1, 2]
    assert found.notes == (
        "1 of 2 past values of the covariate 'x' were missing and filled: linear",
    )


@pytest.mark.parametrize(
    ("rule", "past", "future"),
    [
        ("linear", [2, 2, 3, 4], [5, 6, 6]),
        ("previous", [2, 2, 2, 4], [4, 6, 6]),
        ("zero", [0, 2, 0, 4], [0, 6, 0]),
        ("mean", [4, 2, 4, 4], [4, 6, 4]),
        ("median", [4, 2, 4, 4], [4, 6, 4]),
        ("min", [2, 2, 2, 4], [2, 6, 2]),
        ("max", [6, 2, 6, 4], [6, 6, 6]),
        (-1.5, [-1.5, 2, -1.5, 4], [-1.5, 6, -1.5]),
    ],
)
def test_gaps_are_filled_by_the_rule_and_reported(rule, past, future):
    gappy = covariate([2, 4, 6], places=[1, 3, 5], past_fill=rule, future_fill=rule)
    found = beside(gappy, horizon=3)
    assert found.past.ravel().tolist() == past
    assert found.future.ravel().tolist() == future
    assert found.notes == (
        f"2 of 4 past values of the covariate 'x' were missing and filled: {rule}",
        f"2 of 3 future values of the covariate 'x' were missing and filled: {rule}",
    )


def test_a_coarser_covariate_is_carried_by_the_rule_that_was_named():
    days = covariate(
        [1, 2], places=[0, 4], past_fill="previous", future_fill="previous"
    )
    found = beside(days)
    assert (found.past.ravel().tolist(), found.future.ravel().tolist()) == (
        [1, 1, 1, 1],
        [2, 2],
    )


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (covariate([1, 2, 3, 4, 5]), "no value for 2024-01-01T05:00:00.*future_fill"),
        (covariate([1, 2, 3, 4]), "'x' has no value for 2024-01-01T04:00:00"),
        (covariate([1, 2], places=[8, 9]), "at any of the 4 times of the series"),
        (covariate([1], places=[9], future=False), "nothing of the covariate 'x' was"),
        (covariate([1, 2], issued=[9, 9]), "nothing of the covariate 'x' was known at"),
        (
            covariate([1, 3, 4, 5, 6], places=[0, 2, 3, 4, 5], past_fill="none"),
            "T01:00",
        ),
        (
            covariate([], past_fill="zero", future_fill="mean"),
            "'x' has no value for 2024-01-01T04",
        ),
    ],
)
def test_what_was_not_known_is_refused_with_advice(rows, words):
    with pytest.raises(InvalidSeries, match=words):
        beside(rows)


def test_sparse_rows_may_mean_zero_elsewhere():
    found = beside(covariate([1], places=[9], past_fill="zero", future_fill="zero"))
    assert not found.past.any()
    assert not found.future.any()


def test_every_column_has_a_name_of_its_own():
    with pytest.raises(InvalidSeries, match="two covariates are called 'x'"):
        beside(covariate([1] * 6), covariate([2] * 6))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"values": [1, 2], "places": [0, 0]}, "two values for 2024-01-01T00"),
        (
            {"values": [1, 2], "places": [0, 0], "issued": [1, 1]},
            "two values for 2024-01-01T00",
        ),
        ({"values": [1, np.inf]}, "at 2024-01-01T01:00:00.* is not finite"),
        ({"values": [1, 2], "issued": [1]}, r"\(2,\) times, \(2,\) values, \(1,\) is"),
        (
            {"values": [1], "past_fill": "seasonal"},
            "'x' cannot be filled by 'seasonal'",
        ),
        ({"values": [1], "future_fill": NAN}, "cannot be filled by nan"),
    ],
)
def test_rows_without_sense_are_refused(rows, words):
    with pytest.raises(InvalidSeries, match=words):
        covariate(**rows)


def test_a_missing_time_is_refused():
    never = np.array(["NaT"], "M8[us]")
    with pytest.raises(InvalidSeries, match="misses one of its times"):
        Covariate(name="x", times=never, values=np.ones(1))
    with pytest.raises(InvalidSeries, match="misses one of its issued"):
        Covariate(name="x", times=GRID[:1], values=np.ones(1), issued=never)


def test_the_callers_arrays_are_not_changed():
    times, values = GRID[[1, 0]], np.array([2.0, 1.0])
    Covariate(name="x", times=times, values=values)
    assert (values.tolist(), times.tolist()) == ([2, 1], GRID[[1, 0]].tolist())


def test_holidays_are_columns_known_ahead():
    times = np.arange("2024-12-20", "2024-12-30", dtype="M8[D]").astype("M8[us]")
    found = align(
        [Holidays("DE", "BE", "Europe/Berlin")],
        grid_times=times[:4],
        cutoff_time=times[3],
        future_times=times[4:],
    )
    columns = holiday_columns(times, country="DE", region="BE")
    assert found.names == tuple(columns)
    whole = np.vstack((found.past, found.future))
    np.testing.assert_array_equal(whole, np.column_stack([*columns.values()]))


ROWS = st.lists(
    st.tuples(st.integers(0, 11), st.integers(-2, 12), st.floats(-9, 9) | st.just(NAN)),
    max_size=40,
    unique_by=lambda row: row[:2],
)


def made(rows, **kind):
    places, issued, values = (list(part) for part in zip(*rows, strict=True))
    return covariate(values, places=places, issued=issued, **kind)


def outcome(rows, cutoff, **kind):
    # A row that nobody ever knows, so that there is a covariate at all.
    rows = [*rows, (0, 99, 0.0)]
    try:
        return [one.tolist() for one in beside(made(rows, **kind), cutoff=cutoff)[1:3]]
    except InvalidSeries as error:
        return str(error)


@settings(max_examples=200, deadline=None)
@given(
    rows=ROWS,
    others=ROWS,
    cutoff=st.integers(0, 9),
    fills=st.tuples(st.sampled_from(FILLS), st.sampled_from(FILLS)),
    future=st.booleans(),
)
def test_what_comes_after_the_cutoff_changes_nothing(
    rows, others, cutoff, fills, future
):
    kind = {"future": future, "past_fill": fills[0], "future_fill": fills[1]}

    def is_known(row):
        return row[1] <= cutoff and (future or row[0] <= cutoff)

    known = [row for row in rows if is_known(row)]
    changed = known + [row for row in others if not is_known(row)]
    expected = outcome(known, cutoff, **kind)
    for seen in (rows, changed):
        found = outcome(seen, cutoff, **kind)
        np.testing.assert_equal(found, expected)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, cutoff=st.integers(0, 9), future=st.booleans())
def test_what_is_known_at_a_cutoff_is_what_slow_code_finds(rows, cutoff, future):
    if rows:
        times, values = made(rows, future=future).known(GRID[cutoff])
        places = ((times - GRID[0]) // np.timedelta64(1, "h")).tolist()
        found = dict(zip(places, values.tolist(), strict=True))
        assert found == naive.known_at(rows, cutoff, future=future)
