"""The step from the value before: jumps inside the usual range."""

from analysis.past import Past
from analysis.viewing import view


@view("difference", weight=0.6, nearest=True, words="change from the value before")
def difference(past: Past) -> float:
    """Read the newest step."""
    return past.back(0) - past.back(1)
