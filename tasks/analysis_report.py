"""What an analysis found, as it is answered and as it is stored."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from db import analyses
from tasks.inputs import aware, rfc3339

if TYPE_CHECKING:
    from analysis.records import Analysis, Anomaly, ChangePoint
    from analysis.regimes import Regime

POINT = ("ds", "value", "expected", "lower", "upper", "score", "is_anomaly")


def number(value: Any) -> float | None:
    """Return a finite number, or None where there is none."""
    import numpy as np

    return float(value) if np.isfinite(value) else None


def points_json(found: "Analysis", *, shown: slice) -> list[dict[str, Any]]:
    """Return the judged points of a stretch."""
    return [
        {
            "ds": rfc3339(found.times[at]),
            "value": number(found.values[at]),
            "expected": number(found.expected[at]),
            "lower": number(found.lower[at]),
            "upper": number(found.upper[at]),
            "score": float(found.score[at]),
            "is_anomaly": bool(found.is_anomaly[at]),
        }
        for at in range(*shown.indices(len(found.times)))
    ]


def anomaly_json(one: "Anomaly") -> dict[str, Any]:
    """Return an anomaly with what the finding stands on."""
    return {
        "start": rfc3339(one.start),
        "end": rfc3339(one.end),
        "kind": one.kind,
        "severity": one.severity,
        "score": float(one.score),
        "direction": one.direction,
        "value": number(one.value),
        "expected": number(one.expected),
        "explanation": one.explanation,
        "evidence": evidence_json(one),
    }


def evidence_json(one: "Anomaly") -> dict[str, Any]:
    """Return the evidence as JSON has it: texts, and numbers that are finite."""
    return {
        name: said if isinstance(said, str) else number(said)
        for name, said in one.evidence.items()
    }


def change_json(one: "ChangePoint") -> dict[str, Any]:
    """Return a lasting change."""
    return {
        "ds": rfc3339(one.time),
        "kind": one.kind,
        "confidence": float(one.confidence),
        "before": float(one.before),
        "after": float(one.after),
        "explanation": one.explanation,
    }


def regime_json(one: "Regime") -> dict[str, Any]:
    """Return a stretch between changes; ``end`` is null for the last."""
    return {
        "start": rfc3339(one.start),
        "end": None if one.end is None else rfc3339(one.end),
        "count": one.count,
        "level": number(one.level),
        "slope": number(one.slope),
        "spread": number(one.spread),
        "season_strength": number(one.season_strength),
        "confidence": float(one.confidence),
    }


def found_anomaly(one: "Anomaly") -> analyses.FoundAnomaly:
    """Return an anomaly as it is stored."""
    return analyses.FoundAnomaly(
        start_at=aware(one.start),
        end_at=aware(one.end),
        kind=one.kind,
        severity=one.severity,
        score=float(one.score),
        explanation=one.explanation,
        evidence=stored_evidence(one),
    )


def stored_evidence(one: "Anomaly") -> Mapping[str, Any]:
    """Return what advice is filled in from: the evidence and the strangest point."""
    point = {
        "value": number(one.value),
        "expected": number(one.expected),
        "direction": one.direction,
    }
    known = {name: said for name, said in point.items() if said not in (None, "")}
    return {**evidence_json(one), **known}
