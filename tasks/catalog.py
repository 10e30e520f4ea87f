"""The catalogue of job types: a plain function each, found by walking this folder."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
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


def filled_in(kind: type[Params]) -> list[str]:
    """Return the fields that only the platform fills in, which the schema says too.

    They are made with ``json_schema_extra={"readOnly": True}``.
    """
    said = ((name, one.json_schema_extra) for name, one in kind.model_fields.items())
    return [
        name
        for name, extra in said
        if isinstance(extra, Mapping) and extra.get("readOnly")
    ]


P = TypeVar("P", bound=Params)
Handler = Callable[[Any, JobContext], Outcome]
Table = Callable[[Mapping[str, Any]], tuple[list[str], list[list[Any]]]]
"""Turns a result into column names and rows, for CSV and Arrow."""


@dataclass(frozen=True)
class Retry:
    """When a failed attempt is tried again: pauses that grow by a factor, with jitter.

    ``delay_s`` None leaves the first pause to the platform's setting. Jitter 0.5 makes
    a pause any length between half of it and all.
    """

    delay_s: float | None = None
    factor: float = 2.0
    max_delay_s: float = 300.0
    jitter: float = 0.5


@dataclass(frozen=True)
class Parts:
    """How a large job is split into parts, and its result put together.

    ``split`` returns the params of each part; fewer than two run the job whole.
    ``merge`` gets the parts' results in their order, and runs once. ``share`` says
    under which key, and how many of the parts may run at once; None leaves it to the
    queue.
    """

    split: Callable[[Any, JobContext], Sequence[Params]]
    merge: Callable[[Any, Iterator[Mapping[str, Any]], JobContext], Outcome]
    share: Callable[[Any], tuple[str, int] | None] = lambda _: None


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
    retry: Retry = Retry()
    parts: Parts | None = None


_registered: dict[str, JobType] = {}


@dataclass(frozen=True)
class Limits:
    """The seconds an attempt may take, how many there are, and the pauses between."""

    timeout_s: int = 600
    max_attempts: int = 3
    retry: Retry = Retry()


def job_type(
    name: str,
    *,
    params: type[P],
    queue: str,
    limits: Limits = Limits(),
    table: Table | None = None,
    parts: Parts | None = None,
) -> Callable[[Callable[[P, JobContext], Outcome]], Callable[[P, JobContext], Outcome]]:
    """Register a handler under a public name.

    Args:
        name: what clients call it.
        params: the schema of its params.
        queue: the class of workers that run it.
        limits: time and attempts; a submission may ask for others.
        table: how its result reads as rows, for CSV and Arrow.
        parts: how a large job is split, where it can be.

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
            name,
            handler,
            params,
            queue,
            limits.timeout_s,
            limits.max_attempts,
            summary,
            table,
            limits.retry,
            parts,
        )
        return handler

    return register


@cache
def job_types() -> Mapping[str, JobType]:
    """Return all job types by name, importing every file of this folder once."""
    for module in pkgutil.iter_modules(tasks.__path__):
        importlib.import_module(f"tasks.{module.name}")
    return MappingProxyType(dict(sorted(_registered.items())))
