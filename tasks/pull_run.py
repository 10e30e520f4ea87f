"""A run of a source: planned into partitions, read in parts, and judged as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from db import source_ledger
from db.session import Connection
from tasks import pull, pull_ending
from tasks.catalog import Params
from tasks.context import JobContext, Outcome
from tasks.errors import SourceRefused
from tasks.source_plan import (
    Opened,
    RunParams,
    opened,
    partition_of,
    partition_params,
    paused,
    planned,
)


def split(params: RunParams, context: JobContext) -> Sequence[Params]:
    """Return the params of a part for each partition of a run.

    They carry the window of the whole run. A backfill that is tried again has no part
    for what was read before.

    Raises:
        InvalidData: the source is paused, or there is none of the name.
    """
    if params.partition is not None:
        return [params]
    one = opened(context, name=params.source)
    if not one.source.enabled:
        raise paused(one.source.name)
    plan = planned(one, context, mode=params.mode, start=params.start, end=params.end)
    partitions = plan.partitions
    if params.mode == "backfill":
        with context.read() as connection:
            ended = source_ledger.ended_by(
                connection,
                tenant_id=context.tenant_id,
                source_id=one.source.id,
                job_id=context.job_id,
            )
        partitions = tuple(each for each in partitions if not was_read(each.id, ended))
    window = {"start": plan.start, "end": plan.end, "tier": plan.tier}
    return [
        params.model_copy(update={"partition": each, **window})
        for each in partition_params(partitions)
    ]


def was_read(partition_id: str, ended: set[str]) -> bool:
    """Return whether a partition was read whole, at once or in halves.

    Example:
        >>> was_read("p", {"p/a", "p/b/a", "p/b/b"}), was_read("p", {"p/a", "p/b/a"})
        (True, False)
    """
    if partition_id in ended:
        return True
    begun = any(one.startswith(f"{partition_id}/") for one in ended)
    return begun and all(was_read(f"{partition_id}/{half}", ended) for half in "ab")


def run(params: RunParams, context: JobContext) -> Outcome:
    """Read one partition: a part of a run, or the whole of a short one."""
    one = opened(context, name=params.source)
    part = params.partition
    if part is None:
        planned_parts = split(params, context)
        if not planned_parts:
            return _whole(one, Outcome({"windows": []}), context)
        params = planned_parts[0]  # type: ignore[assignment] # of the same class
        part = params.partition
        if part is None:
            raise SourceRefused("the plan of the source has no partition")
    outcome = pull.pull(one, partition_of(part), context, _wanted(params))
    if context.part is not None:
        # The params of the whole job, which the finish sees, name no tier.
        return Outcome({**outcome.result, "tier": params.tier}, outcome.store)
    return _whole(one, outcome, context, tier=params.tier)


def merged(
    params: RunParams, results: Iterator[Mapping[str, Any]], context: JobContext
) -> Outcome:
    """Join what became of the partitions: succeeded, partial, or failed.

    Raises:
        SourceRefused: not one partition could be read.
    """
    one = opened(context, name=params.source)
    windows, tier = [], params.tier
    for result in results:
        windows += result["windows"]
        tier = result.get("tier", tier)
    return pull_ending.judged(one, windows, context, tier=tier)


def _wanted(params: RunParams) -> pull.Wanted:
    nightly = params.mode == "incremental"
    return pull.Wanted(
        moves=params.mode != "backfill",
        news=nightly,
        edge=_edge(params) if nightly else None,
    )


def _edge(params: RunParams) -> datetime | None:
    from ingest.alarms import edge

    if params.start is None or params.end is None:
        return None
    return edge(params.start, params.end)


def _whole(
    one: Opened, outcome: Outcome, context: JobContext, *, tier: str = ""
) -> Outcome:
    def store(connection: Connection) -> Mapping[str, Any]:
        added = outcome.store(connection) if outcome.store else outcome.result
        joined = pull_ending.judged(one, list(added["windows"]), context, tier=tier)
        more = joined.store(connection) if joined.store else {}
        return {**joined.result, **more}

    return Outcome({}, store)
