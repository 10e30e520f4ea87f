"""Markdown tables, and intervals for means."""

from collections.abc import Sequence

import numpy as np

_DRAWS, _SEED = 2000, 0


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that reads as text too.

    Example:
        >>> print(table(["a", "b"], [["x", "1.5"]]))
        | a | b   |
        | - | --- |
        | x | 1.5 |
    """
    widths = [
        max(len(row[column]) for row in (head, *rows)) for column in range(len(head))
    ]
    lines = [list(head), ["-" * width for width in widths], *map(list, rows)]
    return "\n".join(
        "| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines
    )


def interval(figures: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean, files drawn again.

    Example:
        >>> interval([1.0, 1.0])
        (1.0, 1.0)
    """
    rng = np.random.default_rng(_SEED)
    drawn = rng.choice(np.asarray(figures), size=(_DRAWS, len(figures)))
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
