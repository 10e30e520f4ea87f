from collections import Counter

import numpy as np
import pytest

from bench.anomaly import changes, kinds, skab


def test_f1_counts_the_first_step_and_each_place_once():
    assert changes.f_measure([[]], []) == 1
    assert changes.f_measure([[]], [50]) == pytest.approx(2 / 3)
    # Two finds near one mark: one of three is too many, and so two of three are right.
    assert changes.f_measure([[50]], [48, 52]) == pytest.approx(0.8)
    assert changes.f_measure([[50]], [44]) == pytest.approx(0.5)
    # Precision looks at the marks of all people, recall at each of theirs.
    found = changes.f_measure([[50], [80]], [50])
    assert found == pytest.approx(2 * 1 * 0.75 / 1.75)


def test_covering_is_the_overlap_with_the_best_piece():
    assert changes.covering([[50]], [50], count=100) == 1
    assert changes.covering([[50]], [], count=100) == pytest.approx(0.5)
    assert changes.covering([[], [50]], [], count=100) == pytest.approx(0.75)
    assert changes.covering([[50]], [40], count=100) == pytest.approx(
        0.5 * 40 / 50 + 0.5 * 50 / 60
    )


def test_a_label_is_answered_by_the_event_that_begins_nearest():
    events = [kinds.Event(95, 97, "dip"), kinds.Event(101, 120, "spike")]
    events += [kinds.Event(400, 410, "gap")]
    named, rest = kinds.match(
        events, windows=[(100, 130, "spike"), (200, 220, "level_shift")]
    )
    assert named == [("spike", "spike"), ("level_shift", "nothing")]
    assert rest == ["gap"]


def test_the_matrix_shows_right_wrong_and_nothing():
    table = Counter({("spike", "spike"): 3, ("spike", "dip"): 1, ("dip", "nothing"): 1})
    row = kinds.Row("flat", table, Counter(["gap"]), 0.1)
    assert (row.labelled, row.found, row.right) == (5, 4, 3)
    text = kinds.table([row])
    assert "3 of 5 labelled anomalies (60.0%)" in text
    assert "75.0% of the 4 found" in text
    assert "| spike | 1 |  | 3 |" in text


def test_rates_of_alarms_are_shares_of_their_own_rows():
    flags = np.array([True, False, True, False, False])
    labels = np.array([True, True, False, False, False])
    f1, false, missed = skab.agreement(flags, labels)
    assert (f1, false, missed) == pytest.approx((0.5, 1 / 3, 0.5))
    assert skab.agreement(labels, labels) == (1, 0, 0)
