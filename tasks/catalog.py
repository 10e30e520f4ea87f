"""The catalogue of job types: a plain function each, found by walking this folder."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

import tasks
from tasks.context import JobContext, Outcome

QUEUES = ("forecast", "ingest", "analysis", "system")
"""Classes of work; each has workers of its own, so none can delay another."""


class Params(BaseModel):
    """The params of a job type: frozen, no unknown fields, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


P = TypeVar("P", bound=Params)
Handler = Callable[[Any, JobContext], Outcome]
Table = Callable[[Mapping[str, Any]], tuple[list[str], list[list[Any]]]]
"""Turns a result into column names and rows, for CSV and Arrow."""


@dataclass(frozen=True)
class JobType:
    """A kind of job: its public name, handler, params, queue and limits."""

    name: str
    handler: Handler
    params: type[Params]
    queue: str
    timeout_s: int
    max_attempts: int
    summary: str
    table: Table | None


_registered: dict[str, JobType] = {}


def job_type(
    name: str,
    *,
    params: type[P],
    queue: str,
    timeout_s: int = 600,
    max_attempts: int = 3,
    table: Table | None = None,
) -> Callable[[Callable[[P, JobContext], Outcome]], Callable[[P, JobContext], Outcome]]:
    """Register a handler under a public name.

    Raises:
        ValueError: the name is taken, or the queue is not one that workers consume.
    """
    if queue not in QUEUES:
        message = f"job type {name}: no worker consumes the queue {queue!r}"
        raise ValueError(message)

    def register(
        handler: Callable[[P, JobContext], Outcome],
    ) -> Callable[[P, JobContext], Outcome]:
        if name in _registered and _registered[name].handler is not handler:
            message = f"job type {name} is registered twice"
            raise ValueError(message)
        summary = (handler.__doc__ or "").strip().split("\n")[0]
        _registered[name] = JobType(
            name, handler, params, queue, timeout_s, max_attempts, summary, table
        )
        return handler

    return register


@cache
def job_types() -> Mapping[str, JobType]:
    """Return all job types by name, importing every file of this folder once."""
    for module in pkgutil.iter_modules(tasks.__path__):
        importlib.import_module(f"tasks.{module.name}")
    return MappingProxyType(dict(sorted(_registered.items())))
