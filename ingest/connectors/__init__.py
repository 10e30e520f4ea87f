"""The shelf of connectors: one file for each source, found by walking this folder."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Protocol, Self, TypeVar

import ingest.connectors
from ingest.batch import Batch


@dataclass(frozen=True)
class Partition:
    """A half-open stretch [start, end) of a source that is read in one go.

    ``None`` leaves a side open: a file is one partition without ends.
    """

    id: str
    start: datetime | None = None
    end: datetime | None = None


class Connector(Protocol):
    """One source, opened: it plans what to read, then reads it; it stores nothing."""

    def plan(
        self, start: datetime | None, end: datetime | None
    ) -> tuple[Partition, ...]:
        """Cut the window [start, end) into partitions; the same each time."""
        ...

    def fetch(self, partition: Partition) -> Iterator[Batch]:
        """Yield the rows of a partition in constant memory."""
        ...

    @classmethod
    def example(cls) -> Self:
        """Return one over a recorded answer of its source, for the contract test."""
        ...


C = TypeVar("C", bound=type[Connector])

_registered: dict[str, type[Connector]] = {}


def connector(name: str) -> Callable[[C], C]:
    """Register a class under the name of its source.

    Raises:
        ValueError: the name is taken.
    """

    def register(kind: C) -> C:
        if name in _registered and _registered[name] is not kind:
            message = f"connector {name} is registered twice"
            raise ValueError(message)
        _registered[name] = kind
        return kind

    return register


@cache
def connectors() -> Mapping[str, type[Connector]]:
    """Return all connectors by name, importing every file of this folder once."""
    for module in pkgutil.iter_modules(ingest.connectors.__path__):
        importlib.import_module(f"ingest.connectors.{module.name}")
    return MappingProxyType(dict(sorted(_registered.items())))
