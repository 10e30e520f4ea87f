"""How well found anomalies agree with labels, by events and by points.

Nothing is adjusted to a label once it is touched, and no threshold is chosen with the
labels in sight: what the options say is what is scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Span = tuple[int, int]
"""Half-open, in steps."""

_THOUSAND = 1_000


@dataclass(frozen=True)
class Agreement:
    """What was found beside what was labelled.

    Attributes:
        points: judged points; missing ones do not count.
        labelled: labelled stretches with at least one judged point.
        found: those in which at least one point was flagged.
        alarms: stretches of flagged points.
        true_alarms: those that touch a label.
        precision: true alarms by alarms; NaN without alarms.
        recall: found by labelled; NaN without labels.
        f1: harmonic mean of both; NaN without labels, 0 without a true alarm.
        false_alarms_per_1000: flagged points outside of labels, by points outside.
        delay: median steps from the begin of a label to its first flagged point, over
            those that were found; NaN for none.
        average_precision: area under precision and recall of the scores, point by
            point; NaN without labels.
        share: labelled points by points, which is the average precision of a score
            that knows nothing.
    """

    points: int
    labelled: int
    found: int
    alarms: int
    true_alarms: int
    precision: float
    recall: float
    f1: float
    false_alarms_per_1000: float
    delay: float
    average_precision: float
    share: float


def agreement(
    flags: Flags, *, scores: Floats, judged: Flags, labels: Sequence[Span]
) -> Agreement:
    """Compare flags and scores with labels.

    Args:
        flags: (n,) what was called an anomaly.
        scores: (n,) larger is stranger; NaN counts as not strange at all.
        judged: (n,) False where there is nothing to judge, such as a missing value.
        labels: half-open stretches in steps; those that overlap count as one.

    Returns:
        The figures.

    Raises:
        ValueError: the arrays differ in length, or a label is empty.

    References:
        Tatbul et al. (2018), Precision and Recall for Time Series, NeurIPS, with
        existence as the reward; Kim et al. (2022), Towards a Rigorous Evaluation of
        Time-Series Anomaly Detection, AAAI, on why points are not adjusted.

    Example:
        >>> flags = np.array([False, True, False, True])
        >>> found = agreement(
        ...     flags, scores=flags * 1.0, judged=flags | True, labels=[(0, 2)]
        ... )
        >>> found.recall, found.precision, found.delay
        (1.0, 0.5, 1.0)
    """
    _check(flags, scores, judged, labels)
    inside = np.zeros(len(flags), dtype=bool)
    for start, end in labels:
        inside[start:end] = True
    flags = flags & judged
    spans = [span for span in _stretches(inside) if judged[slice(*span)].any()]
    alarms = _stretches(flags)
    true_alarms = sum(bool(inside[slice(*span)].any()) for span in alarms)
    firsts = [_first(flags, span) for span in spans]
    delays = [first for first in firsts if first is not None]
    outside = judged & ~inside
    precision = _ratio(true_alarms, len(alarms))
    recall = _ratio(len(delays), len(spans))
    return Agreement(
        points=int(judged.sum()),
        labelled=len(spans),
        found=len(delays),
        alarms=len(alarms),
        true_alarms=true_alarms,
        precision=precision,
        recall=recall,
        f1=_harmonic(precision, recall),
        false_alarms_per_1000=_THOUSAND
        * _ratio(int((flags & outside).sum()), int(outside.sum())),
        delay=float(np.median(delays)) if delays else np.nan,
        average_precision=average_precision(scores[judged], inside[judged]),
        share=_ratio(int((inside & judged).sum()), int(judged.sum())),
    )


def average_precision(scores: Floats, truth: Flags) -> float:
    """Return the mean of the precision at each recall, ties taken together.

    Args:
        scores: (n,) larger is stranger; NaN is the least strange.
        truth: (n,) what is strange.

    Returns:
        In [0, 1]; NaN where nothing is strange.

    Example:
        >>> average_precision(np.array([0.9, 0.1, 0.8]), np.array([True, False, True]))
        1.0
    """
    total = int(truth.sum())
    if not total:
        return float("nan")
    scores = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    # Of equal scores none comes first: all of them are taken, or none.
    last = np.append(ranked[1:] != ranked[:-1], True)
    taken = np.flatnonzero(last) + 1
    precision = hits[last] / taken
    gained = np.diff(hits[last], prepend=0) / total
    return float(np.sum(precision * gained))


def _check(flags: Flags, scores: Floats, judged: Flags, labels: Sequence[Span]) -> None:
    if not len(flags) == len(scores) == len(judged):
        message = f"{len(flags)} flags, {len(scores)} scores, {len(judged)} judged"
        raise ValueError(message)
    for start, end in labels:
        if not 0 <= start < end:
            message = f"the label [{start}, {end}) is empty"
            raise ValueError(message)


def _stretches(flags: Flags) -> list[Span]:
    edges = np.flatnonzero(
        np.diff(np.concatenate(([False], flags, [False])).astype(np.int8))
    )
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _first(flags: Flags, span: Span) -> int | None:
    places = np.flatnonzero(flags[slice(*span)])
    return int(places[0]) if len(places) else None


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _harmonic(precision: float, recall: float) -> float:
    if np.isnan(recall):
        return float("nan")
    if np.isnan(precision) or precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)
