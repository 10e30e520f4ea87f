"""Our own engine in default settings: one point at a time, and in hindsight."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.analyse import AnalysisOptions, analyse
from analysis.scores import HALF
from analysis.stream import Stream
from bench.anomaly.loaders import Labelled

Floats = NDArray[np.float64]

_DAY_S = 86_400.0


def streamed(one: Labelled, **options: Any) -> tuple[Floats, Floats, Floats]:
    """Return strength, flags and alerts of each point, judged from the past alone."""
    stream = Stream(AnalysisOptions(one.frequency, **options))
    rows = np.empty((3, len(one.values)))
    for place, (value, time) in enumerate(zip(one.values, one.times, strict=True)):
        said = stream.push(value, time=time)
        rows[:, place] = said.strength, said.is_anomaly, said.alerts
    return rows[0], rows[1], rows[2]


def in_hindsight(one: Labelled) -> Floats:
    """Return the score of each point; it does not depend on the budget."""
    asked = AnalysisOptions(one.frequency)
    return analyse(one.values, times=one.times, options=asked).score


def flagged(score: Floats, budget: float) -> NDArray[np.bool_]:
    """Return which points are flagged in hindsight at a budget."""
    rarity = -np.log10(budget)
    return np.asarray(score >= rarity / (rarity + HALF))


def steps_a_day(one: Labelled) -> int:
    """Return the steps of a day, 1 where no three days fit."""
    step_s = float((one.times[1] - one.times[0]) / np.timedelta64(1, "s"))
    steps = round(_DAY_S / step_s)
    return steps if 1 < steps <= len(one.values) // 3 else 1
