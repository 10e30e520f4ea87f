"""VUS-PR: the area under range-aware precision and recall, over widths of buffers."""

import numpy as np
from numpy.typing import NDArray

from bench.anomaly.loaders import Labels, runs

Floats = NDArray[np.float64]

# Thresholds of each curve, at evenly spaced ranks of the scores.
_THRESHOLDS = 250
# Half the width of an hour's cycle in seconds-free units, where no cycle is seen.
_WITHOUT_CYCLE = 125
_LONGEST_ECHO, _SHORTEST_ECHO = 300, 3
_ECHO_POINTS = 20_000


def vus_pr(labels: Labels, scores: Floats, *, width: int) -> float:
    """Return the mean area under the range precision-recall curve, widths 0 to width.

    Points near an anomaly count in part, by the square root of their nearness, if
    they are flagged; recall is multiplied by the share of anomalies touched at all.

    Args:
        labels: True inside an anomaly, shape (n,), at least one.
        scores: shape (n,), finite; higher is stranger.
        width: of the widest buffer, in steps.

    Returns:
        A number in [0, 1]; the higher the better.

    References:
        Paparrizos et al. (2022), doi:10.14778/3551793.3551830.
    """
    order = np.argsort(-scores, kind="stable")
    places = np.linspace(0, len(scores) - 1, _THRESHOLDS).astype(int)
    cuts = scores[order[places]]
    # Ties belong to every threshold they reach.
    flagged = np.searchsorted(-scores[order], -cuts, side="right")
    stretches = runs(labels)
    areas = [
        _area(labels, scores, stretches, (order, cuts, flagged), buffer)
        for buffer in range(width + 1)
    ]
    return float(np.mean(areas))


def _area(
    labels: Labels,
    scores: Floats,
    stretches: list[tuple[int, int]],
    ranked: tuple[NDArray[np.intp], Floats, NDArray[np.intp]],
    buffer: int,
) -> float:
    order, cuts, flagged = ranked
    weights = extended(labels, stretches, buffer)
    hits = np.concatenate([[0.0], np.cumsum(weights[order])])[flagged]
    beside = np.where(labels, 0.0, weights)
    partly = np.concatenate([[0.0], np.cumsum(beside[order])])[flagged]
    total = float(labels.sum())
    recall = np.minimum(hits / (total + partly / 2), 1.0)
    tops = np.sort(
        [scores[a:b].max() for a, b in merged(stretches, buffer, len(labels))]
    )
    touched = 1 - np.searchsorted(tops, cuts, side="left") / len(tops)
    rates = np.concatenate([[0.0], recall * touched])
    return float(np.sum(np.diff(rates) * hits / flagged))


def extended(labels: Labels, stretches: list[tuple[int, int]], buffer: int) -> Floats:
    """Return the labels with slopes of half the buffer on both sides."""
    weights = labels.astype(np.float64)
    distance = np.arange(1, buffer // 2 + 1)
    slope = np.sqrt(1 - distance / buffer) if buffer else np.zeros(0)
    for start, stop in stretches:
        ahead = min(len(slope), len(labels) - stop)
        weights[stop : stop + ahead] += slope[:ahead]
        behind = min(len(slope), start)
        weights[start - behind : start] += slope[:behind][::-1]
    return np.minimum(weights, 1.0)


def merged(
    stretches: list[tuple[int, int]], buffer: int, count: int
) -> list[tuple[int, int]]:
    """Return the stretches with half the buffer on both sides, touching ones as one."""
    half = buffer // 2
    found = [(max(stretches[0][0] - half, 0), stretches[0][1] + half)]
    for start, stop in stretches[1:]:
        if found[-1][1] - 1 < start - half:
            found.append((start - half, stop + half))
        else:
            found[-1] = (found[-1][0], stop + half)
    return [(start, min(stop, count)) for start, stop in found]


def buffer_width(values: Floats) -> int:
    """Return the widest buffer for a series: the lag of its strongest echo.

    Example:
        >>> buffer_width(np.tile([0.0, 1, 2, 3, 2, 1, 0, 0], 50))
        8
    """
    piece = values[:_ECHO_POINTS] - np.mean(values[:_ECHO_POINTS])
    power = np.abs(np.fft.rfft(piece, n=2 * len(piece))) ** 2
    echo = np.fft.irfft(power)[: _LONGEST_ECHO + 100]
    if echo[0] <= 0 or len(echo) < 2 * _SHORTEST_ECHO:
        return _WITHOUT_CYCLE
    echo = echo[_SHORTEST_ECHO:]
    inner = echo[1:-1]
    peaks = np.flatnonzero((inner > echo[:-2]) & (inner > echo[2:])) + 1
    if not len(peaks):
        return _WITHOUT_CYCLE
    best = int(peaks[np.argmax(echo[peaks])])
    if best < _SHORTEST_ECHO or best > _LONGEST_ECHO:
        return _WITHOUT_CYCLE
    return best + _SHORTEST_ECHO


def average_precision(labels: Labels, scores: Floats) -> float:
    """Return the area under the point-wise precision-recall curve.

    Example:
        >>> average_precision(np.array([True, False]), np.array([0.9, 0.1]))
        1.0
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order])
    last = np.append(ranked[1:] != ranked[:-1], True)
    recall = np.concatenate([[0.0], hits[last] / labels.sum()])
    precision = hits[last] / (np.flatnonzero(last) + 1)
    return float(np.sum(np.diff(recall) * precision))
