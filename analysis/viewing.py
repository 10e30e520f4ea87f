"""What a view is, and how it gets on the shelf `analysis.views`.

A view that is `nearest` is strange when nothing like it has been seen; one that is
not is strange when it is large. Weights were fixed once, on the bundled half of the
Numenta benchmark.
"""

from collections.abc import Callable
from dataclasses import dataclass

from analysis.past import Past

Read = Callable[[Past], float]


@dataclass(frozen=True)
class View:
    """How the newest point is looked at.

    Attributes:
        name: one word.
        weight: of its surprise beside that of the others, in (0, 1].
        nearest: compare with the nearest earlier reading, else with the largest.
        words: what is read, as an explanation says it.
        read: the reading; NaN when there is none.
        cyclic: the reading depends on the season.
    """

    name: str
    weight: float
    nearest: bool
    words: str
    read: Read
    cyclic: bool = False


_VIEWS: dict[str, View] = {}


def view(
    name: str, *, weight: float, nearest: bool, words: str, cyclic: bool = False
) -> Callable[[Read], Read]:
    """Register a view under a name that no other has.

    Raises:
        ValueError: The name is taken.
    """

    def register(read: Read) -> Read:
        if name in _VIEWS:
            msg = f"two views are called {name!r}"
            raise ValueError(msg)
        _VIEWS[name] = View(name, weight, nearest, words, read, cyclic)
        return read

    return register


def views() -> tuple[View, ...]:
    """Return all registered views, sorted by name: the order of their state."""
    return tuple(_VIEWS[name] for name in sorted(_VIEWS))
