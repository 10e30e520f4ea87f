"""The Numenta Anomaly Benchmark: three profiles, ours beside the opponents."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.anomaly import nab
from bench.anomaly.loaders import Labelled, load
from bench.anomaly.opponents import OPPONENTS, Opponent
from bench.anomaly.ours import steps_a_day, streamed
from bench.anomaly.profile import matrix_profile
from bench.anomaly.tables import table
from bench.anomaly.trees import half_space_trees

Floats = NDArray[np.float64]

_AIMS = (72.0, 62.0, 77.0)
_QUIET_SHARE, _QUIET_MOST = 1 / 20, 250
_MORE = (
    Opponent("half-space trees, own", half_space_trees, causal=True),
    Opponent("matrix profile, own", matrix_profile, causal=False),
)
_HEAD = (
    "detector",
    "std / low FP / low FN, threshold of other files",
    "same, ORACLE threshold",
    "sees later points",
    "CPU s",
)


def section(folder: Path) -> str:
    """Return the table of the collection and what it says."""
    files = load(folder, "nab")
    rows, ours, shipped = [], [], []
    began = time.process_time()
    for one in files:
        strength, _, alerts = streamed(one)
        ours.append(nab.Judged(quiet(strength), one.windows))
        shipped.append(nab.Judged(alerts, one.windows))
    rows.append(_row("**ours, streaming**", ours, began, causal=True))
    at_budget = [nab.at(shipped, profile, threshold=0.5) for profile in nab.PROFILES]
    rows.append(["ours, alerts at 1 in 1,000", _three(at_budget), "", "no", ""])
    for opponent in (*OPPONENTS, *_MORE):
        began = time.process_time()
        judged = [nab.Judged(_quiet_score(opponent, x), x.windows) for x in files]
        rows.append(_row(opponent.name, judged, began, causal=opponent.causal))
    found = transferred(ours)
    met = ", ".join(
        f"{profile.name} {_beside(score, aim)}"
        for profile, score, aim in zip(nab.PROFILES, found, _AIMS, strict=True)
    )
    return (
        f"## Numenta Anomaly Benchmark, {len(files)} files\n\n{table(_HEAD, rows)}\n\n"
        f"Ours with the threshold of other files: {met}."
    )


def _beside(score: float, aim: float) -> str:
    return f"{score:.1f} (aim {aim:g}, {'met' if score >= aim else 'missed'})"


def _row(
    name: str, files: Sequence[nab.Judged], began: float, *, causal: bool
) -> list[str]:
    spent = time.process_time() - began
    oracle = [nab.best(files, profile)[1] for profile in nab.PROFILES]
    later = "no" if causal else "yes"
    return [name, _three(transferred(files)), _three(oracle), later, f"{spent:.1f}"]


def transferred(files: Sequence[nab.Judged]) -> list[float]:
    """Return the mean of both halves, each at the best threshold of the other."""
    halves = files[::2], files[1::2]
    found = []
    for profile in nab.PROFILES:
        pair = [
            nab.at(scored, profile, threshold=nab.best(chosen, profile)[0])
            for chosen, scored in (halves, halves[::-1])
        ]
        found.append(sum(pair) / 2)
    return found


def _three(figures: Sequence[float]) -> str:
    return " / ".join(f"{figure:.1f}" for figure in figures)


def _quiet_score(opponent: Opponent, one: Labelled) -> Floats:
    score = opponent.score(one.values, steps_a_day(one))
    return score if opponent.name.startswith("clock") else quiet(score)


def quiet(scores: Floats) -> Floats:
    """Keep a score only where it is above all of the rows shortly before it.

    Every row of the table gets the same: an alarm that goes on is one alarm.

    Example:
        >>> quiet(np.array([1.0] * 60 + [3.0, 2.0, 4.0]))[-3:]
        array([  3., -inf,   4.])
    """
    kept = np.full(len(scores), -np.inf)
    for place, score in enumerate(scores):
        width = int(min(_QUIET_MOST, max(1.0, (place + 1) * _QUIET_SHARE)))
        before = scores[max(0, place - width) : place]
        if not len(before) or score > before.max():
            kept[place] = score
    return kept
