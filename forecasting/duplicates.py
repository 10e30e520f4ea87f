"""Several values for one time become one, by a rule that the caller names."""

from collections.abc import Callable
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray, TimeArray


def one_value_each(
    values: FloatArray, times: TimeArray, *, rule: str
) -> tuple[FloatArray, TimeArray, tuple[str, ...]]:
    """Put rows in the order of time and keep one value for each time.

    Missing values take no part, unless a time has no other.

    Args:
        values: shape (n,), any unit, NaN means missing.
        times: shape (n,), datetime64[us], in any order.
        rule: "first" or "last" (in the order given), "mean" or "sum"; "refuse" leaves
            everything as it is.

    Returns:
        Values and times, each shape (m,), and what was done, in sentences.

    Example:
        >>> twice = np.array(["2024-01-01", "2024-01-01"], dtype="datetime64[us]")
        >>> one_value_each(np.array([1.0, 3.0]), twice, rule="mean")[0]
        array([2.])
    """
    steps = np.diff(times).astype(np.int64)
    if rule == "refuse" or (steps > 0).all():
        return values, times, ()
    notes = []
    if (steps < 0).any():
        notes.append("the rows were not in the order of time and have been sorted")
        order = np.argsort(times, kind="stable")
        values, times = values[order], times[order]
    each, counts = np.unique(times, return_counts=True)
    if each.size == times.size:
        return values, times, tuple(notes)
    known = ~np.isnan(values)
    slots = np.cumsum(np.diff(times, prepend=times[:1]).astype(np.int64) != 0)
    kept = np.full(each.size, np.nan)
    present, first = np.unique(slots[known], return_index=True)
    if present.size:
        kept[present] = _RULES[rule](values[known], first)
    repeated = int((counts > 1).sum())
    extra = int(times.size - each.size)
    notes.append(
        f"times that came more than once: {repeated}, in {repeated + extra} rows; "
        f"the {rule} of each was taken"
    )
    return kept, each, tuple(notes)


def _final(values: FloatArray, first: Any) -> Any:
    return values[np.append(first[1:], values.size) - 1]


def _sum(values: FloatArray, first: Any) -> Any:
    return np.add.reduceat(values, first)


def _mean(values: FloatArray, first: Any) -> Any:
    return _sum(values, first) / np.diff(np.append(first, values.size))


_RULES: dict[str, Callable[[FloatArray, Any], Any]] = {
    "first": lambda values, first: values[first],
    "last": _final,
    "mean": _mean,
    "sum": _sum,
}
