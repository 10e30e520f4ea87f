"""Events of several series in words: who, in which order, and what came apart."""

from collections.abc import Sequence

import numpy as np

from analysis.groups import Group, Member
from analysis.leads import Lead
from analysis.relations import RelationChange
from analysis.wording import show_time

# What is named one by one; the rest is counted.
_MOST = 3


def explain_event(
    group: Group,
    changes: Sequence[RelationChange],
    *,
    contributors: Sequence[tuple[str, float]],
    span: tuple[np.datetime64, np.datetime64],
) -> str:
    """Say who departed, how far, in which order, and which relations changed.

    Args:
        group: Who moved, in order.
        changes: Of relations, the most certain first.
        contributors: Names and shares, the largest first.
        span: Times of the first row and of the last.

    Example:
        >>> member = Member("flow", 3, 9, 4.2, Lead(0, 1.0, 9))
        >>> day = np.datetime64("2024-01-01")
        >>> explain_event(
        ...     Group(3, 9, (member,)), [], contributors=[("flow", 1.0)], span=(day, day)
        ... )
        'flow (100 %) left the usual range at 2024-01-01 00:00 UTC, up to 4.2 times the threshold'
    """  # noqa: E501 - one sentence
    who = ", ".join(
        f"{name} ({share:.0%})".replace("%", " %")
        for name, share in contributors[:_MOST]
    )
    rest = len(group.members) - len(contributors[:_MOST])
    if rest > 0:
        who += f" and {rest} more"
    start, last = (show_time(time) for time in span)
    when = f"at {start}" if start == last else f"from {start} to {last}"
    peak = max(member.peak for member in group.members)
    text = f"{who} left the usual range {when}, up to {peak:.2g} times the threshold"
    if len(group.members) > 1:
        text += f"; {_order(group.members)}"
    return text + "".join(f"; {_came_apart(one)}" for one in changes[:_MOST])


def _order(members: Sequence[Member]) -> str:
    first = members[0]
    parts = [f"{first.name} was first"]
    for one in members[1 : _MOST + 1]:
        steps = one.start - first.start
        agree = _agree(one.lead)
        parts.append(f"{one.name} followed after {steps} steps{agree}")
    return ", ".join(parts) + " (an order in time, no proof of a cause)"


def _agree(lead: Lead) -> str:
    if not lead.count:
        return ""
    return (
        f" (correlation {lead.correlation:.2f} at a lag of {lead.steps} steps over "
        f"{lead.count} points)"
    )


def _came_apart(one: RelationChange) -> str:
    return (
        f"the correlation of {one.first} and {one.second} went from {one.before:.2f} "
        f"({one.counts[0]} points) to {one.after:.2f} ({one.counts[1]} points)"
    )
