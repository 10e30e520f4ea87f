"""What is thought of one point, and the anomaly that follows from it."""

import math
from dataclasses import dataclass

import numpy as np

from analysis import scores, wording
from analysis.records import Anomaly
from analysis.views import views


@dataclass(frozen=True)
class Verdict:
    """What is thought of one point.

    Attributes:
        time: UTC.
        since: when the gap or the flatline began; `time` for the other kinds.
        end: the step after the point.
        value: NaN when missing.
        expected: in the unit of the values; NaN before anything can be expected.
        lower: end of the usual range at the false-alarm budget; NaN likewise.
        upper: likewise.
        surprise: -log10 of the probability of a point at least as strange.
        score: in [0, 1), from the surprise: 0.5 is one clean point in 1,000.
        strength: in [0, 1), of the strangest view: 0.5 is as strange as all that is
            remembered. It tells an onset from its sequel better than the score.
        is_anomaly: the probability is within the budget, and the options let it be
            reported.
        alerts: it is, and no point shortly before was as strange.
        kind: "spike", "dip", "pattern_break" (inside its bounds, but strange by
            another view), "gap", "flatline" or "".
        run: steps of the gap or the flatline, else 0.
        usual_run: what it would have to be longer than, or as long as.
        run_surprise: -log10 of how rarely so long a run begins.
        view: the name of the view that found it strangest; empty for none.
        reading: what that view read.
        distance: to the nearest earlier reading, or the reading itself.
        budget: the promised share of false alarms.
        unit: of the values.
    """

    time: np.datetime64
    since: np.datetime64
    end: np.datetime64
    value: float
    expected: float
    lower: float
    upper: float
    surprise: float = 0.0
    score: float = 0.0
    strength: float = 0.0
    is_anomaly: bool = False
    alerts: bool = False
    kind: str = ""
    run: int = 0
    usual_run: float = 0.0
    run_surprise: float = 0.0
    view: str = ""
    reading: float = math.nan
    distance: float = math.nan
    budget: float = 1e-3
    unit: str = ""


def anomaly_of(verdict: Verdict) -> Anomaly | None:
    """Return the anomaly of a verdict; None when there is nothing to report."""
    if not verdict.kind:
        return None
    if verdict.kind in ("gap", "flatline"):
        return _run_anomaly(verdict)
    above = verdict.value > verdict.expected
    bound = verdict.upper if above else verdict.lower
    # The size of the numbers decides how many digits they deserve.
    spread = max(verdict.upper - verdict.lower, abs(verdict.value - verdict.expected))
    reading = wording.Reading(
        verdict.time, verdict.value, verdict.expected, bound, spread, verdict.unit
    )
    text = wording.explain_reading(reading)
    if verdict.kind == "pattern_break":
        text += _view_words(verdict, spread=spread)
    rule = "outside_bounds" if verdict.kind != "pattern_break" else "unlike_the_past"
    return Anomaly(
        start=verdict.time,
        end=verdict.end,
        kind=verdict.kind,
        severity=scores.severity(verdict.score),
        score=verdict.score,
        explanation=text,
        direction="up" if above else "down",
        expected=verdict.expected,
        value=verdict.value,
        evidence={
            "rule": rule,
            "reading": verdict.value,
            "threshold": bound,
            "unit": verdict.unit,
            "budget": verdict.budget,
            "surprise": verdict.surprise,
            "view": verdict.view,
            "view_reading": verdict.reading,
            "view_distance": verdict.distance,
        },
    )


def _view_words(verdict: Verdict, *, spread: float) -> str:
    words = {view.name: view.words for view in views()}.get(verdict.view, "value")
    reading, distance = (
        wording.with_unit(wording.show_number(number, spread=spread), unit=verdict.unit)
        for number in (verdict.reading, verdict.distance)
    )
    return f"; its {words}, {reading}, is {distance} from any seen before"


def _run_anomaly(verdict: Verdict) -> Anomaly:
    score = verdict.run_surprise / (verdict.run_surprise + scores.HALF)
    if verdict.kind == "gap":
        text = wording.explain_gap(verdict.since, verdict.time, count=verdict.run)
        rule = "missing_run"
    else:
        text = wording.explain_flatline(
            verdict.since,
            verdict.time,
            count=verdict.run,
            value=verdict.value,
            unit=verdict.unit,
        )
        rule = "repeated_value"
    return Anomaly(
        start=verdict.since,
        end=verdict.end,
        kind=verdict.kind,
        severity=scores.severity(score),
        score=score,
        explanation=text,
        expected=verdict.expected,
        value=verdict.value,
        evidence={
            "rule": rule,
            "reading": float(verdict.run),
            "threshold": verdict.usual_run,
            "unit": "points",
            "surprise": verdict.run_surprise,
        },
    )
