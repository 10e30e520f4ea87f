"""Every point of a series, or the newest, judged from what came before it."""

from dataclasses import dataclass

import numpy as np

from analysis.events import Judged
from analysis.grid import Grid
from analysis.records import AnalysisOptions
from analysis.stream import Stream
from analysis.verdicts import Verdict

_COLUMNS = ("expected", "lower", "upper", "score", "strength", "is_anomaly")


@dataclass(frozen=True)
class Replayed:
    """The stream after its last point, the verdict on that, and those on all."""

    stream: Stream
    last: Verdict
    judged: Judged
    strength: np.ndarray

    @property
    def season(self) -> int:
        """The season that was seen; 1 for none."""
        return self.stream.past.season if self.stream.cyclic else 1


def replay(grid: Grid, options: AnalysisOptions) -> Replayed:
    """Push the points of a grid through a stream.

    Args:
        grid: At least one step.
        options: What to look for.

    Returns:
        What the stream said at each point when it was the newest.
    """
    stream = Stream(options)
    table = np.empty((len(grid.values), len(_COLUMNS)))
    steps = zip(grid.times, grid.values.tolist(), strict=True)
    for row, (time, value) in zip(table, steps, strict=True):
        said = stream.push(value, time=time)
        row[:] = [getattr(said, name) for name in _COLUMNS]
    expected, lower, upper, score, strength, flagged = table.T
    cyclic = stream.cyclic
    judged = Judged(
        times=grid.times,
        values=grid.values,
        expected=expected,
        lower=lower,
        upper=upper,
        score=score,
        seasonal=np.zeros(len(table)),
        season=stream.past.season if cyclic else 1,
        after=grid.after,
        unit=options.unit,
        budget=options.budget,
        flagged=flagged > 0,
    )
    return Replayed(stream, said, judged, strength)
