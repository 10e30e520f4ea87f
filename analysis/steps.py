"""Whether a joint of two pieces is a step, or only a bend."""

import math

import numpy as np
from numpy.typing import NDArray

from analysis.pieces import running_sums

Floats = NDArray[np.float64]

# Points on both sides of a joint that tell a step from a bend, and how far the place
# of the joint may be off.
_BESIDE, _OFF = 15, 5
# Steps over which a change is a ramp and no step.
_RAMP = 3
# By how much a step must explain more than a bend, in numbers of a model.
_MARGIN = 1.5


def is_step(values: Floats, place: int, *, low: int, high: int) -> bool:
    """Say whether a series steps at a joint of two pieces, or only bends there.

    Two free lines are compared with one that has two knees, by the BIC, on the
    points near the joint.

    Args:
        values: (n,) any unit, no NaN.
        place: Where the second piece begins, up to three points off.
        low: Where the first piece begins.
        high: Where the second one ends.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=40)
        >>> ramp = np.maximum(np.arange(40.0) - 20, 0)
        >>> jump = np.repeat([0.0, 9.0], 20)
        >>> [is_step(noise + one, 20, low=0, high=40) for one in (ramp, jump)]
        [False, True]
    """
    start, stop = max(low, place - _BESIDE), min(high, place + _BESIDE)
    near = values[start:stop] - np.mean(values[start:stop])
    count = len(near)
    sums = running_sums(near, straight=True)
    first = max(place - start - _OFF, 2)
    joints = np.arange(first, max(first + 1, min(place - start + _OFF, count - 2) + 1))
    free = min(
        float(sums.misfit(0, joint)[0] + sums.misfit(joint, count)[0])
        for joint in joints.tolist()
    )
    once, twice = _least_bent(near)
    least = 1e-12 * float(np.sum(near**2))
    if min(once, twice) <= least:
        return False
    # Both ends of each line and the place of each joint are numbers of a model.
    price = math.log(count)
    step = count * math.log(max(free, least)) + 5 * price
    bent = count * math.log(once) + 4 * price, count * math.log(twice) + 6 * price
    return step < min(bent) - _MARGIN * price


def _least_bent(values: Floats) -> tuple[float, float]:
    """Return the least sums of squares around lines with one and with two knees."""
    count = len(values)
    places = np.arange(count)
    knees = np.arange(1, count - 1)
    arms = np.maximum(places[:, None] - knees, 0.0)
    line = np.column_stack([np.ones(count), places - places.mean()])
    basis = line / np.sqrt(np.sum(line**2, axis=0))
    rest = values - basis @ (basis.T @ values)
    arms -= basis @ (basis.T @ arms)
    products, lean = arms.T @ arms, arms.T @ rest
    first, second = np.triu_indices(len(knees), k=_RAMP)
    one, other = lean[first], lean[second]
    alike = products[first, second]
    widths = products[first, first], products[second, second]
    # What a regression on the two arms explains, for every pair of knees.
    gains = widths[1] * one**2 + widths[0] * other**2 - 2 * alike * one * other
    gains /= np.maximum(widths[0] * widths[1] - alike**2, 1e-9)
    total = float(np.sum(rest**2))
    single = lean**2 / np.maximum(np.diag(products), 1e-9)
    return (
        total - float(np.max(single, initial=0.0)),
        total - float(np.max(gains, initial=0.0)),
    )
