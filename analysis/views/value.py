"""The value itself: a level never seen is the plainest sign."""

from analysis.past import Past
from analysis.viewing import view


@view("value", weight=1.0, nearest=True, words="value")
def value(past: Past) -> float:
    """Read the newest value."""
    return past.back(0)
