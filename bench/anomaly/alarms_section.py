"""False alarms: the promised share of clean points beside the measured one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.anomaly.loaders import Labelled, load
from bench.anomaly.nab import probation
from bench.anomaly.ours import flagged, in_hindsight, streamed
from bench.anomaly.tables import table

Floats = NDArray[np.float64]

BUDGETS = (1e-2, 2.5e-3, 1e-3)
_COLLECTIONS = ("nab", "aiops_kpi", "smap_msl")
_COUNT, _SEEDS = 8_000, 3
# A live stream takes a while: this much of each file tells enough.
_MOST = 8_000
# Steps before and after a label that may well belong to it.
_MARGIN = 50
_WITHIN = (0.5, 1.5)


def section(folder: Path) -> str:
    """Return the table and what it says."""
    rows, outside = [], 0
    for name, files in _sets(folder):
        clean = [_clean(one) for one in files]
        count = sum(int(one.sum()) for one in clean)
        scores = [in_hindsight(one) for one in files]
        live = [_ratio(_live(files, budget), clean, budget) for budget in BUDGETS]
        hindsight = [
            _ratio([flagged(score, budget) for score in scores], clean, budget)
            for budget in BUDGETS
        ]
        ratios = live + hindsight
        outside += sum(not _WITHIN[0] <= ratio <= _WITHIN[1] for ratio in ratios)
        rows.append([name, f"{count:,}", *(f"{ratio:.2f}" for ratio in ratios)])
    shares = [f"{1000 * budget:g}" for budget in BUDGETS]
    head = ["series", "clean points", *(f"live, {x}" for x in shares)]
    head += [f"hindsight, {x}" for x in shares]
    return (
        "## False alarms: measured over promised\n\n"
        f"At budgets of {', '.join(shares)} in 1,000 points; the first {_MOST:,} "
        f"points of each file.\n\n{table(head, rows)}\n\n"
        f"{outside} of {2 * len(BUDGETS) * len(rows)} are outside 0.5 to 1.5."
    )


def _ratio(
    flags: Sequence[NDArray[np.bool_]],
    clean: Sequence[NDArray[np.bool_]],
    budget: float,
) -> float:
    hits = sum(int(flag[one].sum()) for flag, one in zip(flags, clean, strict=True))
    return hits / sum(int(one.sum()) for one in clean) / budget


def _live(files: Sequence[Labelled], budget: float) -> list[NDArray[np.bool_]]:
    return [streamed(one, false_alarms_per_1000=1000 * budget)[1] > 0 for one in files]


def _clean(one: Labelled) -> NDArray[np.bool_]:
    """Say which points are judged: those far from a label, after the start."""
    near = np.convolve(one.labels, np.ones(2 * _MARGIN + 1), mode="same") > 0
    clean = ~near
    clean[: probation(len(clean))] = False
    return np.asarray(clean)


def _sets(folder: Path) -> Iterator[tuple[str, list[Labelled]]]:
    for name in _COLLECTIONS:
        yield name, [_head(one) for one in load(folder, name)]
    for name, draw in (("white noise", _white), ("AR(1) 0.9", _ar), ("daily", _daily)):
        drawn = [draw(np.random.default_rng(seed)) for seed in range(_SEEDS)]
        yield name, [_as_series(name, values) for values in drawn]


def _head(one: Labelled) -> Labelled:
    return replace(
        one,
        values=one.values[:_MOST],
        times=one.times[:_MOST],
        labels=one.labels[:_MOST],
    )


def _white(rng: np.random.Generator) -> Floats:
    return rng.standard_normal(_COUNT)


def _ar(rng: np.random.Generator) -> Floats:
    values = rng.standard_normal(_COUNT)
    for place in range(1, _COUNT):
        values[place] += 0.9 * values[place - 1]
    return values


def _daily(rng: np.random.Generator) -> Floats:
    wave = 10 * np.sin(np.arange(_COUNT) * 2 * np.pi / 24)
    return np.asarray(wave + rng.standard_normal(_COUNT))


def _as_series(name: str, values: Floats) -> Labelled:
    times = np.datetime64("2000-01-01", "us") + np.arange(len(values)) * np.timedelta64(
        1, "h"
    )
    labels = np.zeros(len(values), dtype=np.bool_)
    return Labelled(
        collection="drawn",
        name=name,
        values=values,
        times=times,
        frequency="1h",
        labels=labels,
    )
