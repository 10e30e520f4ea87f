"""The records that go into an analysis and come out of it.

They live apart from `analysis.analyse` so that events and change points can build
them without importing the pipeline that calls them.

The ways in:

- `analysis.analyse.analyse(values, times=, options=) -> Analysis` for a stretch of a
  series. Mode "batch" judges every point in hindsight, "replay" judges every point
  from what came before it, "latest" does so for the newest point alone,
  "changepoints" is "batch" with lasting changes.
- `analysis.stream.Stream(options)` with `push(value, time=) -> Verdict` for one point
  at a time; `analysis.packing.pack` and `unpack` turn it into bytes and back, and
  `analysis.verdicts.anomaly_of(verdict)` into an `Anomaly` or None. A stream that has
  been given the points of a series answers what "replay" and "latest" answer.
  Labels and calendars are options of both. When they change for times that a stream
  has passed, start a new stream from the history.
- `analysis.together.analyse_together` for several aligned series.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

MODES = ("batch", "latest", "replay", "changepoints")
DIRECTIONS = ("both", "up", "down")
IMPUTES = ("none", "previous", "linear", "zero", "fixed")
ACTIONS = ("suppress", "learn", "both")
VERDICTS = ("true", "false", "expected")

# A cycle of one step is none.
NO_SEASON = 1


class InvalidSeries(ValueError):
    """A series that cannot be analysed; the message says what to do about it."""


class InvalidOptions(ValueError):
    """Options that contradict themselves or are out of range."""


@dataclass(frozen=True)
class Expected:
    """A half-open span [start, end) in which something is known to happen.

    Attributes:
        start: UTC.
        end: UTC.
        action: "suppress" reports nothing in the span but learns from it, "learn"
            reports as ever but leaves the span out of what is learnt, "both" does
            neither report nor learn.
        name: What happens, for people.
    """

    start: np.datetime64
    end: np.datetime64
    action: str = "both"
    name: str = ""

    def __post_init__(self) -> None:
        """Check the action and the order."""
        _one_of("action", self.action, ACTIONS)
        _forwards(self.start, self.end)


@dataclass(frozen=True)
class Label:
    """What somebody said about a half-open span [start, end).

    Attributes:
        start: UTC.
        end: UTC.
        verdict: "true" leaves the span out of what is learnt; "false" makes
            departures up to the size seen in it, on the same side, usual for the
            series; "expected" is an event of a calendar with action "both".
    """

    start: np.datetime64
    end: np.datetime64
    verdict: str

    def __post_init__(self) -> None:
        """Check the verdict and the order."""
        _one_of("verdict", self.verdict, VERDICTS)
        _forwards(self.start, self.end)


@dataclass(frozen=True)
class AnalysisOptions:
    """What to look for and how many false alarms are acceptable.

    Attributes:
        frequency: Step between points: a pandas offset ("1h", "D", "MS") or an
            ISO 8601 duration ("PT1H", "P1M").
        mode: One of `MODES`, see the head of this module.
        sensitivity: 0 to 100, a false-alarm budget: the expected share of points
            of a clean series that is flagged is 10 ** (sensitivity / 25 - 5), so
            1 in 1,000 at 50 and ten times as many for every 25 more.
        season: Length of the cycle in steps, 1 for no cycle; None finds it from the
            values.
        detector: Name of a registered detector, used by the modes in hindsight.
        focus: Half-open [from, to). Anomalies are reported only there; earlier
            points serve as context and later ones are not looked at.
        false_alarms_per_1000: The budget itself, instead of `sensitivity`; more than
            0, at most 500.
        direction: "up" and "down" report only points above, or below, what was
            expected. The budget is that of both sides together.
        min_change: Departures up to this size, in the unit of the values, are never
            reported.
        min_change_relative: Nor are those up to this share of the expected value.
        calendar: Expected events.
        labels: Feedback.
        impute: How missing points are filled before anything is judged; "none"
            leaves them missing, which is best: nothing here needs them.
        impute_value: What "fixed" fills in.
        most_anomalous_share: At most this share of the points is flagged, the
            strangest; only in hindsight.
        time_zone: IANA name; cycles then follow its clock through daylight saving.
        unit: Of the values, for explanations.

    Raises:
        InvalidOptions: A field is out of its range.
    """

    frequency: str
    mode: str = "batch"
    sensitivity: int = 50
    season: int | None = None
    detector: str = "seasonal"
    focus: tuple[np.datetime64 | None, np.datetime64 | None] = (None, None)
    false_alarms_per_1000: float | None = None
    direction: str = "both"
    min_change: float = 0.0
    min_change_relative: float = 0.0
    calendar: tuple[Expected, ...] = ()
    labels: tuple[Label, ...] = ()
    impute: str = "none"
    impute_value: float | None = None
    most_anomalous_share: float = 1.0
    time_zone: str | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        """Check the ranges that the types cannot hold."""
        _one_of("mode", self.mode, MODES)
        _one_of("direction", self.direction, DIRECTIONS)
        _one_of("impute", self.impute, IMPUTES)
        _within("sensitivity", self.sensitivity, (0, 100))
        if self.season is not None and self.season < NO_SEASON:
            msg = (
                f"season is {self.season}; give the steps of a cycle, 1 for no cycle "
                "or nothing to find it"
            )
            raise InvalidOptions(msg)
        if self.false_alarms_per_1000 is not None:
            _within("false_alarms_per_1000", self.false_alarms_per_1000, (1e-6, 500))
        _within("min_change", self.min_change, (0, math.inf))
        _within("min_change_relative", self.min_change_relative, (0, math.inf))
        _within("most_anomalous_share", self.most_anomalous_share, (0, 1))
        if (self.impute == "fixed") != (self.impute_value is not None):
            msg = "impute_value goes with impute 'fixed', and that with a value"
            raise InvalidOptions(msg)
        begin, end = self.focus
        if begin is not None and end is not None and begin >= end:
            msg = f"focus [{begin}, {end}) is empty; its end must be after its start"
            raise InvalidOptions(msg)
        self._check_zone()

    def _check_zone(self) -> None:
        try:
            if self.time_zone is not None:
                ZoneInfo(self.time_zone)
        # Where zones are files, the name of a folder of them is an OSError.
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            msg = f"time_zone is {self.time_zone!r}; give a name like 'Europe/Berlin'"
            raise InvalidOptions(msg) from error

    @property
    def budget(self) -> float:
        """The share of the points of a clean series that may be flagged.

        Example:
            >>> AnalysisOptions("1h").budget
            0.001
            >>> AnalysisOptions("1h", false_alarms_per_1000=5).budget
            0.005
        """
        if self.false_alarms_per_1000 is not None:
            return self.false_alarms_per_1000 / 1000
        return round(float(10 ** (self.sensitivity / 25 - 5)), 12)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        msg = f"{name} is {value!r}; choose one of {', '.join(known)}"
        raise InvalidOptions(msg)


def _within(name: str, value: float, ends: tuple[float, float]) -> None:
    if not ends[0] <= value <= ends[1]:
        msg = f"{name} is {value}; give a number from {ends[0]:g} to {ends[1]:g}"
        raise InvalidOptions(msg)


def _forwards(start: np.datetime64, end: np.datetime64) -> None:
    if not start < end:
        msg = f"[{start}, {end}) is empty; its end must be after its start"
        raise InvalidOptions(msg)


@dataclass(frozen=True)
class Anomaly:
    """A stretch of the series that is unusual, with the evidence in words.

    Attributes:
        start: UTC, of the first point.
        end: The step after the last point.
        kind: What it looks like.
        severity: "low", "medium", "high" or "critical".
        score: The highest in the stretch.
        explanation: The evidence in a sentence.
        direction: "up", "down", or "" where that has no meaning (a gap).
        expected: Of the strangest point; NaN like `value`.
        value: Of the strangest point; NaN where it is missing.
        evidence: What the finding stands on: "rule", "reading", "threshold", "unit",
            "budget", and what else the rule looked at.
    """

    start: np.datetime64
    end: np.datetime64
    kind: str
    severity: str
    score: float
    explanation: str
    direction: str = ""
    expected: float = math.nan
    value: float = math.nan
    evidence: Mapping[str, float | str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class ChangePoint:
    """A lasting change; `time` is the first point after it.

    `kind` is "level_shift" or "trend_change"; `before` and `after` are the levels on
    both sides of the place.
    """

    time: np.datetime64
    confidence: float
    before: float
    after: float
    explanation: str
    kind: str = "level_shift"


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
        strangeness: (n,) in [0, 1], for ranking points, stretches and series; no
            probability. In hindsight the share of points that are less strange, by
            views of the values alone and so the same for every detector; in "replay"
            and "latest" 0.5 is as strange as anything remembered.
        is_anomaly: (n,) In hindsight, True exactly where the value is outside its
            bounds, unless the options keep it from being reported. In "replay" and
            "latest" a point inside them may be strange by its step or its average.
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
    strangeness: NDArray[np.float64]
    is_anomaly: NDArray[np.bool_]
    anomalies: tuple[Anomaly, ...]
    change_points: tuple[ChangePoint, ...]
    season: int
    detector: str
    warnings: tuple[str, ...]
