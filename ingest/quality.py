"""Whether rows may be published, and how good they are: counted, never felt."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

WEIGHTS: Mapping[str, float] = {
    "validity": 0.4,
    "completeness": 0.3,
    "consistency": 0.2,
    "contract": 0.1,
}
"""What each part of the score counts; they sum to one."""


@dataclass(frozen=True)
class RowCounts:
    """What became of the rows of a partition.

    Attributes:
        good: distinct rows that can be stored.
        rejected: rows that cannot, conflicting ones included.
        missing: rows that say that there is no value.
        conflicting: rows of one key and time with different values.
        expected: how many distinct rows there should be, or None if nobody says.
        drift: changes of shape that do no harm.
        withdrawn: stored values that the source no longer has.
        stored: values of the window that are stored already.
    """

    good: int
    rejected: int = 0
    missing: int = 0
    conflicting: int = 0
    expected: int | None = None
    drift: int = 0
    withdrawn: int = 0
    stored: int = 0

    @property
    def seen(self) -> int:
        """All distinct rows that came."""
        return self.good + self.rejected + self.missing


@dataclass(frozen=True)
class QualityRules:
    """From where on nothing of a partition is published.

    Attributes:
        max_rejected: so many bad rows are always let pass.
        max_rejected_share: of all rows; the larger of both counts.
        min_score: the lowest score, 0 to 1.
        max_withdrawn_share: of the stored values of the window.
    """

    max_rejected: int = 20
    max_rejected_share: float = 0.001
    min_score: float = 0.0
    max_withdrawn_share: float = 0.2


def score(counts: RowCounts) -> tuple[float, dict[str, float]]:
    """Return the quality score from 0 to 1, and the parts it is the weighted mean of.

    Args:
        counts: of a partition; a partition without any row scores one.

    Returns:
        The score, and its parts by the names of ``WEIGHTS``, each from 0 to 1.

    Example:
        >>> score(RowCounts(good=98, rejected=2))[0]
        0.992
    """
    seen = max(1, counts.seen)
    expected = counts.expected if counts.expected is not None else counts.seen
    parts = {
        "validity": 1.0 - counts.rejected / seen,
        "completeness": min(1.0, counts.seen / max(1, expected)),
        "consistency": 1.0 - counts.conflicting / seen,
        "contract": 1.0 / (1.0 + counts.drift),
    }
    total = sum(WEIGHTS[name] * value for name, value in parts.items())
    return round(total, 6), {name: round(value, 6) for name, value in parts.items()}


def why_held(counts: RowCounts, rules: QualityRules) -> tuple[str, str] | None:
    """Return why nothing of a partition may be published, as code and sentence.

    Example:
        >>> why_held(RowCounts(good=100, rejected=21), QualityRules())[0]
        'too_many_rejected'
    """
    allowed = max(rules.max_rejected, rules.max_rejected_share * counts.seen)
    if counts.rejected > allowed:
        detail = (
            f"{counts.rejected} of {counts.seen} rows were rejected, more than "
            f"{allowed:g}"
        )
        return "too_many_rejected", detail
    if counts.rejected and not counts.good:
        return "nothing_good", f"not one of {counts.rejected} rows is good"
    few = max(rules.max_rejected, rules.max_withdrawn_share * counts.stored)
    if counts.withdrawn > few:
        detail = (
            f"{counts.withdrawn} of {counts.stored} stored values are gone from the "
            f"source, more than {few:g}"
        )
        return "too_many_withdrawn", detail
    reached, _ = score(counts)
    if reached < rules.min_score:
        detail = f"the quality score is {reached}, below {rules.min_score}"
        return "score_too_low", detail
    return None


def described(counts: RowCounts) -> dict[str, object]:
    """Return the score with all it was computed from, so that anybody can redo it."""
    reached, parts = score(counts)
    return {
        "score": reached,
        "parts": parts,
        "weights": dict(WEIGHTS),
        "counts": asdict(counts),
    }
