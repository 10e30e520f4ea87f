"""The records that go into an analysis and come out of it.

They live apart from `analysis.analyse` so that events and change points can build
them without importing the pipeline that calls them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MODES = ("batch", "latest", "changepoints")

# The shortest cycle that can repeat at all is two steps long.
SHORTEST_SEASON = 2


class InvalidSeries(ValueError):
    """A series that cannot be analysed; the message says what to do about it."""


class InvalidOptions(ValueError):
    """Options that contradict themselves or are out of range."""


@dataclass(frozen=True)
class AnalysisOptions:
    """What to look for and how many false alarms are acceptable.

    Attributes:
        frequency: Step between points: a pandas offset ("1h", "D", "MS") or an
            ISO 8601 duration ("PT1H", "P1M").
        mode: "batch" judges every point, "latest" only the newest one and from
            the past alone, "changepoints" adds lasting changes of level.
        sensitivity: 0 to 100, a false-alarm budget: the expected share of points
            of a clean series that is flagged is 10 ** (sensitivity / 25 - 5), so
            1 in 1,000 at 50 and ten times as many for every 25 more.
        season: Length of the cycle in steps; None finds it from the values.
        detector: Name of a registered detector.
        focus: Half-open [from, to). Anomalies are reported only there; earlier
            points serve as context and later ones are not looked at.

    Raises:
        InvalidOptions: A field is out of its range.
    """

    frequency: str
    mode: str = "batch"
    sensitivity: int = 50
    season: int | None = None
    detector: str = "seasonal"
    focus: tuple[np.datetime64 | None, np.datetime64 | None] = (None, None)

    def __post_init__(self) -> None:
        """Check the ranges that the types cannot hold."""
        if self.mode not in MODES:
            msg = f"mode is {self.mode!r}; choose one of {', '.join(MODES)}"
            raise InvalidOptions(msg)
        if not 0 <= self.sensitivity <= 100:  # noqa: PLR2004 - the documented range
            msg = f"sensitivity is {self.sensitivity}; give a number from 0 to 100"
            raise InvalidOptions(msg)
        if self.season is not None and self.season < SHORTEST_SEASON:
            msg = f"season is {self.season}; give at least 2 steps, or none to find it"
            raise InvalidOptions(msg)
        begin, end = self.focus
        if begin is not None and end is not None and begin >= end:
            msg = f"focus [{begin}, {end}) is empty; its end must be after its start"
            raise InvalidOptions(msg)


@dataclass(frozen=True)
class Anomaly:
    """A stretch of the series that is unusual, with the evidence in words.

    `end` is the step after the last point; `score` is the highest in the stretch.
    """

    start: np.datetime64
    end: np.datetime64
    kind: str
    severity: str
    score: float
    explanation: str


@dataclass(frozen=True)
class ChangePoint:
    """A lasting change of level; `time` is the first point of the new level."""

    time: np.datetime64
    confidence: float
    before: float
    after: float
    explanation: str


@dataclass(frozen=True)
class Analysis:
    """Every point of the focus with what was expected of it, and the events.

    Attributes:
        times: (n,) UTC, every step of the grid in the focus, gaps included.
        values: (n,) as given; NaN where missing.
        expected: (n,) NaN where the series is too short to expect anything.
        lower: (n,) Lower bound at the chosen sensitivity; NaN like `expected`.
        upper: (n,) Upper bound; NaN like `expected`.
        score: (n,) in [0, 1], 0.5 is what one clean point in 1,000 reaches; 0
            where the value is missing.
        is_anomaly: (n,) True exactly where the value is outside its bounds.
        anomalies: Ordered by start. Gaps and flatlines are judged by their length,
            so their points may well be inside the bounds.
        change_points: Ordered by time; empty unless asked for.
        season: Main cycle in steps, 1 for none.
        detector: The detector that was used.
        warnings: What the reader should know before trusting the result.
    """

    times: NDArray[np.datetime64]
    values: NDArray[np.float64]
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    score: NDArray[np.float64]
    is_anomaly: NDArray[np.bool_]
    anomalies: tuple[Anomaly, ...]
    change_points: tuple[ChangePoint, ...]
    season: int
    detector: str
    warnings: tuple[str, ...]
