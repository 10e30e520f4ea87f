"""Job types of a single test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import ConfigDict

from tasks import catalog

__all__ = ["AnyParams", "register"]


class AnyParams(catalog.Params):
    """Params of any kind."""

    model_config = ConfigDict(extra="allow")


@pytest.fixture
def register() -> Iterator[Callable[..., str]]:
    """Register a handler: ``register(handler, name="test.job", ...)``; gone after."""
    catalog.job_types()  # imports all there is, so that all of it is kept
    kept = dict(catalog._registered)

    def add(handler: catalog.Handler, name: str = "test.job", **given: Any) -> str:
        decorate = catalog.job_type(
            name, **{"params": AnyParams, "queue": "system", **given}
        )
        decorate(handler)
        catalog.job_types.cache_clear()
        return name

    yield add
    catalog._registered.clear()
    catalog._registered.update(kept)
    catalog.job_types.cache_clear()
