"""The gate: whether a version's errors allow it to become the champion.

A pure function of two sets of metrics and some rules. What is missing never passes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from tasks.catalog import Params

SKILL, POINTS = "skill_vs_naive", "points"
Metric = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Metrics = Mapping[str, Any]


class Rules(Params):
    """What a version must show to become the champion."""

    required: Annotated[list[Metric], Field(max_length=20)] = Field(
        default=["mase", "coverage"], description="Metrics that must be there."
    )
    primary: Literal["mae", "rmse", "smape", "mase", "rmsse", "wql", "crps"] = Field(
        default="mase", description="The error that is compared with the champion's."
    )
    tolerance_percent: float = Field(
        default=1.0, ge=0, le=100, description="How much worse it may be."
    )
    minimum_points: int = Field(
        default=20, ge=1, description="Observed points behind the metrics."
    )
    minimum_skill: float = Field(
        default=0.0,
        ge=-1,
        le=1,
        description="Skill over the naive, asked of a first champion.",
    )
    same_evaluation: bool = Field(
        default=True,
        description="Whether both must have been measured on the same windows.",
    )


@dataclass(frozen=True)
class Check:
    """One question of the gate: ``detail`` tells the numbers."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What the gate found."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check was passed."""
        return all(check.passed for check in self.checks)

    def faults(self) -> str:
        """Return the details of the checks that failed."""
        return "; ".join(check.detail for check in self.checks if not check.passed)

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as it is stored and shown."""
        return {"passed": self.passed, "checks": [vars(check) for check in self.checks]}


def gate(candidate: Metrics, champion: Metrics | None, rules: Rules) -> Verdict:
    """Judge a candidate's metrics.

    Args:
        candidate: its out-of-sample metrics by name; a number that is missing, None,
            NaN or infinite fails.
        champion: the champion's on the same evaluation; None without a champion, and
            then the candidate needs skill over the naive instead.
        rules: what is asked.

    Example:
        >>> seen = {"mase": 0.9, "coverage": 0.8, "points": 48, "skill_vs_naive": 0.1}
        >>> gate(seen, None, Rules()).passed
        True
        >>> gate({**seen, "mase": None}, None, Rules()).faults()
        'mase is missing'
    """
    names = dict.fromkeys([*rules.required, rules.primary, POINTS])
    checks = [_present(name, candidate) for name in names]
    checks.append(_points(candidate, rules))
    if champion is None:
        checks += [_present(SKILL, candidate), _skill(candidate, rules)]
    else:
        checks.append(_compared(candidate, champion, rules))
    # A number that is missing is told once, and not again by what would compare it.
    return Verdict(tuple(check for check in checks if check.detail))


def _number(metrics: Metrics, name: str) -> float | None:
    value = metrics.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _present(name: str, metrics: Metrics) -> Check:
    value = _number(metrics, name)
    if value is not None:
        return Check(name, passed=True, detail=f"{name} is {value:.6g}")
    absent = metrics.get(name) is None
    why = "is missing" if absent else f"is {metrics[name]!r}, which is no number"
    return Check(name, passed=False, detail=f"{name} {why}")


def _points(candidate: Metrics, rules: Rules) -> Check:
    found = _number(candidate, POINTS)
    if found is None:
        return _silent("minimum_points")
    return Check(
        "minimum_points",
        passed=found >= rules.minimum_points,
        detail=f"{found:.0f} points; at least {rules.minimum_points} are needed",
    )


def _skill(candidate: Metrics, rules: Rules) -> Check:
    found = _number(candidate, SKILL)
    if found is None:
        return _silent("minimum_skill")
    return Check(
        "minimum_skill",
        passed=found >= rules.minimum_skill,
        detail=f"skill over the naive is {found:.6g}; a first champion needs "
        f"{rules.minimum_skill:g}",
    )


def _compared(candidate: Metrics, champion: Metrics, rules: Rules) -> Check:
    name = f"{rules.primary}_vs_champion"
    theirs = _number(champion, rules.primary)
    if theirs is None:
        detail = f"{rules.primary} of the champion is missing"
        return Check(name, passed=False, detail=detail)
    ours = _number(candidate, rules.primary)
    if ours is None:
        return _silent(name)
    limit = theirs * (1 + rules.tolerance_percent / 100)
    return Check(
        name,
        passed=ours <= limit,
        detail=f"{rules.primary} is {ours:.6g}, the champion's {theirs:.6g}; up to "
        f"{limit:.6g} is allowed",
    )


def _silent(name: str) -> Check:
    return Check(name, passed=False, detail="")
