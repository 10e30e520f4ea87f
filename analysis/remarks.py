"""What the reader of an analysis should know before trusting it."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# With fewer observations neither a level nor its noise can be told.
FEWEST = 12


def remarks_on(known: Floats, *, budget: float) -> list[str]:
    """Return what limits an analysis of these values at this budget.

    Example:
        >>> remarks_on(np.zeros(50), budget=1e-3)
        ['the series is constant; any other value would be unusual']
    """
    present = known[np.isfinite(known)]
    if len(present) < FEWEST:
        return [
            (
                f"the series is too short: {len(present)} usable values, at least "
                f"{FEWEST} are needed to expect anything"
            )
        ]
    if present.min() == present.max():
        return ["the series is constant; any other value would be unusual"]
    if len(present) * budget < 1:
        return [
            (
                f"{len(present)} values cannot show 1 in {1 / budget:,.0f}; "
                "the bounds are extrapolated"
            )
        ]
    return []
