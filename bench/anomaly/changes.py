"""How well change points match those of several annotators: F1 and covering."""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.analyse import AnalysisOptions, analyse
from analysis.changepoints import find_change_points, find_common_breaks
from bench.anomaly.loaders import Labelled, load

# Steps either way within which a change point counts as found.
_MARGIN = 5
AIM_F1, AIM_COVERING = 0.78, 0.74
# Resamples of the series for the interval, and its share.
_RESAMPLES, _SHARE = 2000, 0.95
_PUBLISHED = ("binseg", "amoc", "pelt", "segneigh", "bocpd")

Find = Callable[[Labelled], list[int]]


@dataclass(frozen=True)
class Row:
    """A way to find change points, and how well it does on each series.

    Attributes:
        name: What found them.
        names: Of the series.
        f1: Of each series.
        covering: Of each series.
        seconds: CPU, 0 where it is published.
    """

    name: str
    names: tuple[str, ...]
    f1: tuple[float, ...]
    covering: tuple[float, ...]
    seconds: float


def measure(data: Path) -> list[Row]:
    """Return rows for the single series: ours, none at all, and published ones.

    The last row is the series of several columns, which has published figures of its
    own kind only.
    """
    series = load(data, "tcpd")
    single = [one for one in series if one.values.ndim == 1]
    rows = [
        _row("Forebay, `find_change_points`", single, _ours),
        _row('Forebay, `analyse(mode="changepoints")`', single, _whole),
        _row("no change point", single, lambda _: []),
    ]
    published = json.loads((data / "published" / "tcpd_scores.json").read_text())
    for kind, method in itertools.product(("default", "oracle"), _PUBLISHED):
        scores = published[kind]
        here = [one.name for one in single if method in scores[one.name].get("f1", {})]
        if len(here) < len(single):
            continue
        rows.append(
            Row(
                f"{method}, {kind} (published)",
                tuple(here),
                tuple(scores[name]["f1"][method] for name in here),
                tuple(scores[name]["cover"][method] for name in here),
                0.0,
            )
        )
    several = [one for one in series if one.values.ndim > 1]
    if several:
        rows.append(_row("Forebay, several columns", several, _common))
        rows.append(_row("no change point, several columns", several, lambda _: []))
    return rows


def _row(name: str, series: Sequence[Labelled], find: Find) -> Row:
    began = time.process_time()
    found = [find(one) for one in series]
    spent = time.process_time() - began
    pairs = list(zip(series, found, strict=True))
    return Row(
        name,
        tuple(one.name for one in series),
        tuple(f_measure(one.annotations, places) for one, places in pairs),
        tuple(
            covering(one.annotations, places, count=len(one.values))
            for one, places in pairs
        ),
        spent,
    )


def _ours(one: Labelled) -> list[int]:
    found = find_change_points(one.values, times=one.times, season=1)
    return _places(one, [change.time for change in found])


def _whole(one: Labelled) -> list[int]:
    # Some series go back further than a calendar in nanoseconds: rows are seconds.
    times = np.datetime64(0, "s") + np.arange(len(one.values))
    options = AnalysisOptions("1s", mode="changepoints")
    found = analyse(one.values, times=times, options=options)
    return [
        int(change.time.astype("M8[s]").astype(int)) for change in found.change_points
    ]


def _common(one: Labelled) -> list[int]:
    return find_common_breaks(one.values)


def _places(one: Labelled, times: Sequence[np.datetime64]) -> list[int]:
    return [int(place) for place in np.searchsorted(one.times, times)]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the bootstrap interval of a mean over series.

    Example:
        >>> interval([0.5, 0.5])
        (0.5, 0.5)
    """
    numbers = np.asarray(values)
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, len(numbers), size=(_RESAMPLES, len(numbers)))
    ends = np.quantile(
        numbers[drawn].mean(axis=1), [(1 - _SHARE) / 2, (1 + _SHARE) / 2]
    )
    return float(ends[0]), float(ends[1])


def table(rows: Sequence[Row]) -> str:
    """Return the means with their intervals in Markdown."""
    aims = f"F1 (aim {AIM_F1}) | covering (aim {AIM_COVERING})"
    lines = [f"| found by | series | {aims} | CPU s |", "|---|---|---|---|---|"]
    for row in rows:
        cells = [_mean(row.f1), _mean(row.covering)]
        spent = f"{row.seconds:.2f}" if row.seconds else ""
        lines.append(
            f"| {row.name} | {len(row.names)} | {cells[0]} | {cells[1]} | {spent} |"
        )
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{np.mean(values):.3f} ({low:.3f} to {high:.3f})"


def f_measure(
    annotations: Sequence[Sequence[int]], found: Iterable[int], *, margin: int = _MARGIN
) -> float:
    """Return F1 of the change points; the first step always counts as one.

    Args:
        annotations: Places by annotator.
        found: Places.
        margin: Steps either way.

    References:
        van den Burg and Williams (2020), An Evaluation of Change Point Detection
        Algorithms, arXiv:2003.06222, section 3.

    Example:
        >>> f_measure([[50], [52]], [51])
        1.0
    """
    sets = [{0, *one} for one in annotations]
    places = {0, *found}
    union = set().union(*sets)
    precision = _matches(union, places, margin) / len(places)
    recall = sum(_matches(one, places, margin) / len(one) for one in sets) / len(sets)
    return 2 * precision * recall / (precision + recall)


def _matches(truth: set[int], places: set[int], margin: int) -> int:
    """Count the true places that have a found place of their own nearby."""
    left, count = set(places), 0
    for place in sorted(truth):
        near = [one for one in left if abs(one - place) <= margin]
        if near:
            left.remove(min(near, key=lambda one: (abs(one - place), one)))
            count += 1
    return count


def covering(
    annotations: Sequence[Sequence[int]], found: Iterable[int], *, count: int
) -> float:
    """Return how well the found pieces cover those of the annotators, in [0, 1].

    Example:
        >>> covering([[5]], [5], count=10)
        1.0
    """
    pieces = _pieces(found, count)
    shares = []
    for places in annotations:
        total = 0.0
        for start, stop in _pieces(places, count):
            overlap = max(_jaccard(start, stop, *piece) for piece in pieces)
            total += (stop - start) * overlap
        shares.append(total / count)
    return sum(shares) / len(shares)


def _pieces(places: Iterable[int], count: int) -> list[tuple[int, int]]:
    edges = sorted({0, count, *(place for place in places if 0 < place < count)})
    return list(itertools.pairwise(edges))


def _jaccard(start: int, stop: int, begin: int, end: int) -> float:
    inside = max(0, min(stop, end) - max(start, begin))
    return inside / (stop - start + end - begin - inside)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    print(table(measure(parser.parse_args().data)))


if __name__ == "__main__":
    main()
