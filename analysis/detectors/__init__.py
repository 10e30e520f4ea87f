"""The shelf of detectors: one file each, registered by `@detector("name")`.

A detector says what each point should have been and how far points usually stray.
Everything else (score, bounds, kind, words) is the same for all of them.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.records import InvalidOptions


@dataclass(frozen=True)
class Baseline:
    """What a detector expects of a series.

    Attributes:
        expected: (n,) in the unit of the values; NaN where nothing can be expected.
        scale: (n,) usual size of a residual, same unit, 0 or more; NaN likewise.
        seasonal: (n,) the part of `expected` that repeats, around 0, never NaN.
    """

    expected: NDArray[np.float64]
    scale: NDArray[np.float64]
    seasonal: NDArray[np.float64]


class Detector(Protocol):
    """A pure function of the values on their grid."""

    def __call__(
        self, values: NDArray[np.float64], *, seasons: tuple[int, ...], causal: bool
    ) -> Baseline:
        """Return the baseline; with `causal` each expectation uses the past only."""


_DETECTORS: dict[str, Detector] = {}


def detector(name: str) -> Callable[[Detector], Detector]:
    """Register a detector under a name that no other has.

    Raises:
        ValueError: The name is taken.
    """

    def register(function: Detector) -> Detector:
        if name in _DETECTORS:
            msg = f"two detectors are called {name!r}"
            raise ValueError(msg)
        _DETECTORS[name] = function
        return function

    return register


def detector_names() -> tuple[str, ...]:
    """Return the names of all registered detectors, sorted."""
    return tuple(sorted(_DETECTORS))


def find_detector(name: str) -> Detector:
    """Return the detector of that name.

    Raises:
        InvalidOptions: There is none.
    """
    if name not in _DETECTORS:
        msg = f"detector is {name!r}; choose one of {', '.join(detector_names())}"
        raise InvalidOptions(msg)
    return _DETECTORS[name]


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
