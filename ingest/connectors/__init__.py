"""The shelf of connectors: one file for each source, found by walking this folder.

A connector says what to ask and what an answer means. It opens no socket, keeps no
state and reads no clock, so an archived answer is parsed exactly as it was when it
came. ``ingest/fetch.py`` drives all of them.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import TypeVar

import ingest.connectors
from ingest.contract import Connector

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
