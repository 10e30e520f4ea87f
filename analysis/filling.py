"""Filling missing points, for those who ask for it: nothing here needs it."""

import numpy as np
from numpy.typing import NDArray

from analysis.records import AnalysisOptions

Floats = NDArray[np.float64]


def filled(values: Floats, options: AnalysisOptions) -> tuple[Floats, list[str]]:
    """Return the values with missing ones filled as the options say, and a remark.

    Args:
        values: (n,) any unit; NaN is missing, one must be present.
        options: `impute` and `impute_value` count.

    Returns:
        (n,); with "previous", what is missing at the start stays missing.

    Example:
        >>> options = AnalysisOptions("1h", impute="linear")
        >>> filled(np.array([1.0, np.nan, 3.0]), options)[0]
        array([1., 2., 3.])
    """
    missing = np.isnan(values)
    if options.impute == "none" or not missing.any():
        return values, []
    places = np.arange(len(values))
    present = places[~missing]
    if options.impute == "linear":
        found = np.interp(places, present, values[present])
    elif options.impute == "previous":
        last = np.maximum.accumulate(np.where(missing, -1, places))
        found = np.where(last < 0, np.nan, values[last])
    else:
        value = 0.0 if options.impute_value is None else options.impute_value
        found = np.where(missing, value, values)
    remark = f"{missing.sum()} missing points were filled ({options.impute})"
    return np.asarray(found, dtype=np.float64), [remark]
