"""Short averages: stretches that are strange though none of their points is."""

from analysis.past import Past
from analysis.viewing import view

_FEW, _MANY = 3, 24


@view("average_3", weight=0.8, nearest=True, words=f"mean of the last {_FEW} values")
def few(past: Past) -> float:
    """Read the mean of the last few values."""
    return past.mean(_FEW)


@view("average_24", weight=0.8, nearest=True, words=f"mean of the last {_MANY} values")
def many(past: Past) -> float:
    """Read the mean of the last many values."""
    return past.mean(_MANY)
