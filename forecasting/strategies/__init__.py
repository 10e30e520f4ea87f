"""The shelf of strategies: one file each, found by walking the folder.

A strategy says at each bar which way to stand, knowing that bar and those before it;
what an order costs and what it leaves is for ``forecasting/ledger.py``. The web door
checks parameters with these files, so none loads numpy before it decides.
"""

import importlib
import itertools
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from forecasting.bars import Bars, Stances


class Parameters(BaseModel):
    """The parameters of a strategy: frozen, closed, finite; every one has a default."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    @property
    def needs_forecasts(self) -> bool:
        """Whether the strategy can say anything without forecasts."""
        return False


class Banded(Parameters):
    """Parameters of a strategy that holds a score against a band."""

    enter: float = Field(default=0.0, ge=0, description="Stand where the score passes.")
    leave: float = Field(default=0.0, ge=0, description="Go flat where it falls below.")

    @field_validator("leave")
    @classmethod
    def _inside(cls, leave: float, given: ValidationInfo) -> float:
        if leave > given.data.get("enter", leave):
            message = f"leave {leave} lies above enter {given.data['enter']}"
            raise ValueError(message)
        return leave


MOST_COMBINATIONS = 64
"""How many combinations of values a grid may have."""

P = TypeVar("P", bound=Parameters)
Decide: TypeAlias = Callable[[Bars, P], Stances]


@dataclass(frozen=True)
class Strategy:
    """A registered strategy.

    Attributes:
        name: the public name, and that of its file.
        parameters: the schema of its parameters.
        decide: bars, parameters -> stances, shape (n,): 1 long, 0 flat, -1 short. The
            stance at a bar depends on nothing that came after that bar.
    """

    name: str
    parameters: type[Parameters]
    decide: Callable[[Bars, Any], Stances]


_REGISTRY: dict[str, Strategy] = {}


def strategy(name: str, *, parameters: type[P]) -> Callable[[Decide[P]], Decide[P]]:
    """Register the decorated function under a public name.

    Raises:
        ValueError: the name is taken.
    """

    def register(decide: Decide[P]) -> Decide[P]:
        if name in _REGISTRY:
            raise ValueError(f"two strategies are called {name!r}")
        _REGISTRY[name] = Strategy(name, parameters, decide)
        return decide

    return register


@cache
def registered_strategies() -> dict[str, Strategy]:
    """Find the strategies of the folder, by name in alphabetical order."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    return dict(sorted(_REGISTRY.items()))


def find_strategy(name: str) -> Strategy:
    """Return the strategy of that name.

    Raises:
        ValueError: there is none; the message names those there are.
    """
    known = registered_strategies()
    if name not in known:
        raise ValueError(f"unknown strategy; known are {', '.join(known)}")
    return known[name]


def combinations(
    strategy: Strategy, *, parameters: Mapping[str, Any], grid: Mapping[str, Any]
) -> list[Parameters]:
    """Return the parameters of each combination of a grid, the latest name fastest.

    Args:
        strategy: whose parameters they are.
        parameters: those that the grid does not name.
        grid: a list of values for each name.

    Raises:
        ValueError: too many, or values that the strategy does not take.
    """
    if math.prod(len(values) for values in grid.values()) > MOST_COMBINATIONS:
        raise ValueError(f"the grid has more than {MOST_COMBINATIONS} combinations")
    return [
        strategy.parameters.model_validate(
            {**parameters, **dict(zip(grid, values, strict=True))}
        )
        for values in itertools.product(*grid.values())
    ]
