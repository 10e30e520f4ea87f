"""The distance from the recent median: what left the level of the last points."""

from analysis.past import Past
from analysis.viewing import view


@view("deviation", weight=0.6, nearest=False, words="distance from the recent median")
def deviation(past: Past) -> float:
    """Read how far the newest value is from the median of the latest ones."""
    return abs(past.back(0) - past.median())
