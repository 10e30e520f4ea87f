"""Common cause: which series moved together, and which of them first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.leads import Lead, find_lead
from analysis.runs import find_runs

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Steps beside a group over which leads are looked for, at most, and the share of the
# group's length that is added on both sides.
_REACH = 50
_BESIDE = 1.0


@dataclass(frozen=True)
class Member:
    """A series of a group.

    Attributes:
        name: Of the series.
        start: Step at which it left its bounds.
        stop: The step after it was last outside.
        peak: Its largest departure, in its own thresholds.
        lead: Of the first series of the group over this one; 0 steps for itself.
    """

    name: str
    start: int
    stop: int
    peak: float
    lead: Lead


@dataclass(frozen=True)
class Group:
    """Series that departed at the same time, in the order in which they did.

    The order says which was seen first. That is no proof of a cause.
    """

    start: int
    stop: int
    members: tuple[Member, ...]


def group_departures(
    sizes: Floats, *, departures: Floats, names: tuple[str, ...], reach: int
) -> list[Group]:
    """Join the departures of several series that overlap or nearly touch.

    Args:
        sizes: (n, m) departures over the threshold of their series, 0 or more; what
            is above 1 has left its bounds; NaN is missing.
        departures: (n, m) signed, in any unit, for leads.
        names: (m,) of the series.
        reach: Steps between departures that still belong together.

    Returns:
        In order of time; most have a single member.

    Example:
        >>> sizes = np.zeros((60, 2))
        >>> sizes[20:28, 1], sizes[22:30, 0] = 2.0, 3.0
        >>> (group,) = group_departures(
        ...     sizes, departures=sizes, names=("a", "b"), reach=3
        ... )
        >>> [(one.name, one.start, one.lead.steps) for one in group.members]
        [('b', 20, 0), ('a', 22, 2)]
    """
    spans: list[tuple[int, int]] = []
    for start, stop in find_runs(np.nan_to_num(sizes).max(axis=1) > 1):
        if spans and start - spans[-1][1] < reach:
            spans[-1] = spans[-1][0], stop
        else:
            spans.append((start, stop))
    return [
        _group(span, sizes=sizes, departures=departures, names=names) for span in spans
    ]


def _group(
    span: tuple[int, int], *, sizes: Floats, departures: Floats, names: tuple[str, ...]
) -> Group:
    start, stop = span
    inside = np.nan_to_num(sizes[start:stop])
    outside = inside > 1
    columns = np.flatnonzero(outside.any(axis=0))
    onsets = np.argmax(outside[:, columns], axis=0)
    peaks = inside[:, columns].max(axis=0)
    # Of those that leave in one step the largest comes first.
    order = columns[np.lexsort((-peaks, onsets))]
    margin = int(_BESIDE * (stop - start)) + 2
    near = departures[max(0, start - margin) : stop + margin]
    reach = min(_REACH, (len(near) - 1) // 3)
    members = []
    for column in order.tolist():
        places = np.flatnonzero(outside[:, column])
        lead = Lead(0, 1.0, len(near))
        if column != order[0]:
            lead = find_lead(near[:, order[0]], near[:, column], reach=reach)
        members.append(
            Member(
                names[column],
                start + int(places[0]),
                start + int(places[-1]) + 1,
                float(inside[:, column].max()),
                lead,
            )
        )
    return Group(start, stop, tuple(members))
