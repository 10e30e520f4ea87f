"""What an anomaly is called, by which rule, and the reading that decided.

Every rule compares one reading with one threshold. The rules are tried in the order
of `RULES`; the first that holds names the kind.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Rule: what is read, and of what kind an anomaly is that reaches the threshold.
RULES = {
    "missing_run": "points missing in a row, beside the longest usual run: a gap",
    "missing_share": "share of scattered missing points, beside the usual share: "
    "missing data",
    "repeated_value": "points of one repeated value in a row, beside the longest "
    "usual run: a flatline",
    "stayed": "change of level, beside the least that noise does not make, not back "
    "within the longest excursion: a level shift",
    "bent": "change of slope, beside the least that noise does not make, without a "
    "step: a trend change",
    "spread": "ratio of the spreads after and before, where no level moved: a "
    "variance change",
    "two_sided": "share of the points on the lesser side of what was expected: a "
    "pattern break",
    "returned": "steps until it was back, at most the threshold: a spike or a dip",
    "kept": "share of the change that is left afterwards: a level shift, else a "
    "pattern break",
}
KINDS = (
    "spike",
    "dip",
    "level_shift",
    "trend_change",
    "variance_change",
    "flatline",
    "gap",
    "pattern_break",
    "missing_data",
)
# Share of a season, and steps: what returns sooner is a spike or a dip.
_SHORT = 1 / 4
SHORT_LEAST = 3
# A level has shifted when afterwards this much of the deviation is still there.
_STAYS = 0.5
# Flagged points of the lesser sign that make an event two-sided.
_TWO_SIDED = 0.2


@dataclass(frozen=True)
class Decision:
    """A kind, the rule that named it, and what the rule read."""

    kind: str
    rule: str
    reading: float
    threshold: float
    unit: str

    def as_evidence(self) -> dict[str, float | str]:
        """Return the decision as a part of the evidence of an anomaly."""
        return {
            "kind_rule": self.rule,
            "kind_reading": self.reading,
            "kind_threshold": self.threshold,
            "kind_unit": self.unit,
        }


def decide(
    residuals: Floats, *, level: Floats, band: tuple[int, int], season: int
) -> Decision:
    """Name a group of points that are outside their bounds.

    Args:
        residuals: (n,) value less expectation, NaN where inside the bounds.
        level: (n,) values without their seasonal part; NaN is missing.
        band: Half-open range of the group.
        season: Main cycle in steps, 1 for none.

    Returns:
        The kind and why.

    Example:
        >>> residuals = np.full(40, np.nan)
        >>> residuals[20:22] = 9.0
        >>> level = np.nan_to_num(residuals)
        >>> found = decide(residuals, level=level, band=(20, 22), season=1)
        >>> found.kind, found.rule, found.reading, found.threshold
        ('spike', 'returned', 2.0, 3.0)
    """
    start, stop = band
    outside = residuals[start:stop]
    upward = float((outside[np.isfinite(outside)] > 0).mean())
    lesser = min(upward, 1 - upward)
    if lesser >= _TWO_SIDED:
        return Decision("pattern_break", "two_sided", lesser, _TWO_SIDED, "share")
    longest = max(SHORT_LEAST, int(season * _SHORT))
    if stop - start <= longest:
        kind = "spike" if upward > 1 / 2 else "dip"
        return Decision(kind, "returned", float(stop - start), float(longest), "steps")
    kept = _kept(level, band=band, width=max(2 * SHORT_LEAST, season))
    kind = "level_shift" if kept >= _STAYS else "pattern_break"
    return Decision(kind, "kept", kept, _STAYS, "share")


def _kept(level: Floats, *, band: tuple[int, int], width: int) -> float:
    """Return how much of a change of level is left after the group, 1 at the end."""
    start, stop = band
    before = _middle(level[max(0, start - width) : start])
    during = _middle(level[start:stop])
    after = _middle(level[stop : stop + width])
    if after is None or before is None or during is None or during == before:
        return 1.0
    return (after - before) / (during - before)


def _middle(values: Floats) -> float | None:
    present = values[np.isfinite(values)]
    return float(np.median(present)) if len(present) else None
