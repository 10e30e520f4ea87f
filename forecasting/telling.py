"""Telling of progress: the share of the work that is done, and what comes next."""

from collections.abc import Callable
from typing import TypeAlias

Tell: TypeAlias = Callable[[float, str], None]


def nobody(_share: float, _what: str) -> None:
    """Hear of progress and do nothing."""
