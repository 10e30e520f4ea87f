"""The distance from the same time of earlier cycles."""

from analysis.past import Past
from analysis.viewing import view


@view(
    "phase",
    weight=0.8,
    nearest=True,
    words="difference from the same time of earlier cycles",
    cyclic=True,
)
def phase(past: Past) -> float:
    """Read the newest value minus the median of its phase."""
    return past.back(0) - past.at_phase()
