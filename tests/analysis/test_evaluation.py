"""What is found, beside what somebody labelled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from analysis.evaluation import agreement, average_precision

FEW = settings(max_examples=60, deadline=None)


def compare(flags, labels, *, judged=None, scores=None):
    flags = np.asarray(flags, dtype=bool)
    judged = np.ones(len(flags), dtype=bool) if judged is None else np.asarray(judged)
    scores = flags * 1.0 if scores is None else np.asarray(scores)
    return agreement(flags, scores=scores, judged=judged, labels=labels)


def test_one_flag_inside_a_label_finds_it_and_no_more():
    found = compare([0, 0, 0, 1, 0, 0, 0, 0], [(2, 6)])
    assert (found.labelled, found.found, found.alarms) == (1, 1, 1)
    assert (found.recall, found.precision, found.delay) == (1.0, 1.0, 1.0)
    assert found.average_precision < 1.0


def test_an_alarm_elsewhere_is_false():
    found = compare([1, 1, 0, 0, 0, 0, 1, 0], [(6, 8)])
    assert (found.alarms, found.true_alarms, found.precision) == (2, 1, 0.5)
    assert found.false_alarms_per_1000 == pytest.approx(1_000 * 2 / 6)


def test_labels_that_overlap_count_once():
    assert compare([0, 0, 1, 0], [(0, 3), (2, 4)]).labelled == 1


def test_what_is_missing_is_neither_right_nor_wrong():
    judged = [True, False, False, True]
    found = compare([0, 1, 1, 0], [(1, 3)], judged=judged)
    assert (found.points, found.labelled, found.alarms) == (2, 0, 0)
    assert np.isnan(found.recall)


def test_without_labels_there_is_a_rate_of_false_alarms_and_no_recall():
    found = compare([0, 1, 0, 0], [])
    assert np.isnan(found.recall)
    assert np.isnan(found.average_precision)
    assert found.false_alarms_per_1000 == 250.0


def test_no_alarm_at_all_has_no_precision_and_an_f1_of_nought():
    found = compare([0, 0, 0, 0], [(1, 2)])
    assert np.isnan(found.precision)
    assert (found.recall, found.f1) == (0.0, 0.0)


def test_a_label_without_a_step_is_refused():
    with pytest.raises(ValueError, match=r"the label \[3, 3\) is empty"):
        compare([0, 0, 0, 0], [(3, 3)])


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="4 flags, 3 scores"):
        compare([0, 0, 0, 0], [], scores=[0.0, 1.0, 2.0])


@FEW
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_average_precision_is_that_of_scikit_learn(points):
    scores = np.array([score for score, _ in points], dtype=float)
    truth = np.array([strange for _, strange in points])
    found = average_precision(scores, truth)
    if truth.any():
        assert found == pytest.approx(average_precision_score(truth, scores))
    else:
        assert np.isnan(found)


@FEW
@given(st.integers(0, 2**32 - 1))
def test_a_score_that_knows_nothing_is_as_precise_as_labels_are_frequent(seed):
    rng = np.random.default_rng(seed)
    truth = np.arange(4_000) % 10 == 0
    assert average_precision(rng.random(4_000), truth) == pytest.approx(0.1, abs=0.05)
