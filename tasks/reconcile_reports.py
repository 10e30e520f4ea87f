"""What a comparison of two series says, in numbers and time by time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.reconcile_params import Group

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingest.reconcile import Comparison

_COLUMNS = ("ds", "preferred_value", "other_value", "difference", "beyond", "only")


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return a result as columns and rows, one for each pair and time."""
    rows = [
        [group["name"], group["preferred"], pair["other"], *(at[c] for c in _COLUMNS)]
        for group in result["groups"]
        for pair in group["pairs"]
        for at in pair["points"]
    ]
    return ["group", "preferred", "other", *_COLUMNS], rows


def pair_json(group: Group, found: "Comparison", *, every: bool) -> dict[str, Any]:
    """Return what the result of a job says of two series.

    Args:
        group: which they are of.
        found: the two.
        every: whether to list times at which they agree, too.
    """
    import numpy as np

    both = np.flatnonzero(found.compared)
    differences = found.difference[both]
    largest = both[int(np.argmax(differences))] if len(both) else None
    points = list(_points(group, found, shown(found, every=every).tolist()))
    beyond = int(found.beyond.sum())
    state = "differs" if beyond else "agrees"
    return {
        "state": state if len(both) else "not_compared",
        "compared": len(both),
        "beyond": beyond,
        "only_preferred": int(np.isnan(found.other).sum()),
        "only_other": int(np.isnan(found.preferred).sum()),
        "incomplete": found.incomplete,
        "median_difference": float(np.median(differences)) if len(both) else None,
        "max_difference": float(differences.max()) if len(both) else None,
        "max_at": None if largest is None else _when(group, found, int(largest)),
        "warnings": _warnings(group, found),
        "points": points,
    }


def shown(found: "Comparison", *, every: bool) -> "NDArray[np.intp]":
    """Return where the times lie that the result lists."""
    import numpy as np

    if every:
        return np.arange(len(found.times))
    return np.flatnonzero(found.beyond | ~found.compared)


def _points(
    group: Group, found: "Comparison", places: Sequence[int]
) -> Iterator[dict[str, Any]]:
    for at in places:
        preferred, other = (_number(x[at]) for x in (found.preferred, found.other))
        only = "preferred" if other is None else "other" if preferred is None else None
        yield {
            "ds": _when(group, found, at),
            "preferred_value": preferred,
            "other_value": other,
            "difference": _number(found.difference[at]),
            "beyond": bool(found.beyond[at]),
            "only": only,
        }


def _warnings(group: Group, found: "Comparison") -> list[str]:
    if not len(found.times):
        return ["neither has a value in this stretch"]
    if found.compared.any():
        return []
    if group.align == "exact":
        return ["they share no time; if both are daily, align date compares days"]
    return ["they share no time"]


def _when(group: Group, found: "Comparison", at: int) -> str:
    """Return a time of a comparison; a date has no zone, as each side has its own."""
    moment: datetime = found.times[at].item()
    if group.align == "date":
        return str(moment.date())
    return moment.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")


def _number(value: float) -> float | None:
    # A number that is not itself is NaN.
    return float(value) if value == value else None  # noqa: PLR0124
