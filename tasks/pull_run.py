"""A run of a source: planned into partitions, read in parts, and judged as a whole."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from db import ingest_runs
from db.session import Connection
from tasks import pull, pull_store
from tasks.catalog import Params
from tasks.context import JobContext, Outcome
from tasks.errors import SourceRefused
from tasks.source_plan import (
    Opened,
    RunParams,
    opened,
    partition_of,
    partition_params,
    planned,
)

COUNTS = (
    "written",
    "revised",
    "unchanged",
    "missing",
    "duplicates",
    "rejected",
    "withdrawn",
)
_LISTED = 200


def split(params: RunParams, context: JobContext) -> Sequence[Params]:
    """Return the params of a part for each partition of a run."""
    if params.partition is not None:
        return [params]
    one = opened(context, name=params.source)
    partitions, tier = planned(
        one, context, mode=params.mode, start=params.start, end=params.end
    )
    return [
        params.model_copy(update={"partition": each, "tier": tier})
        for each in partition_params(partitions)
    ]


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
    outcome = pull.pull(
        one, partition_of(part), context, moves=params.mode != "backfill"
    )
    if context.part is not None:
        return outcome
    return _whole(one, outcome, context, tier=params.tier)


def merged(
    params: RunParams, results: Iterator[Mapping[str, Any]], context: JobContext
) -> Outcome:
    """Join what became of the partitions: succeeded, partial, or failed.

    Raises:
        SourceRefused: not one partition could be read.
    """
    one = opened(context, name=params.source)
    windows = [window for result in results for window in result["windows"]]
    return _judged(one, windows, context, tier=params.tier)


def _whole(
    one: Opened, outcome: Outcome, context: JobContext, *, tier: str = ""
) -> Outcome:
    def store(connection: Connection) -> Mapping[str, Any]:
        added = outcome.store(connection) if outcome.store else outcome.result
        joined = _judged(one, list(added["windows"]), context, tier=tier)
        more = joined.store(connection) if joined.store else {}
        return {**joined.result, **more}

    return Outcome({}, store)


def _judged(
    one: Opened, windows: list[dict[str, Any]], context: JobContext, *, tier: str
) -> Outcome:
    bad = [one for one in windows if one["state"] in ("failed", "held")]
    if windows and len(bad) == len(windows):
        first = bad[0]
        raise SourceRefused(
            f"{one.source.name}: not one of {len(windows)} partitions could be read; "
            f"{first['partition']}: {first['reason']}: {first['detail']}"
        )
    counts = Counter[str]()
    for window in windows:
        counts.update({name: window.get(name, 0) for name in COUNTS})
    state = "partial" if bad else "succeeded"
    result = {
        "source": one.source.name,
        "run_id": pull_store.run_id(context),
        "state": state,
        "tier": tier,
        **{name: counts[name] for name in COUNTS},
        "states": dict(Counter(window["state"] for window in windows)),
        "windows": windows[:_LISTED],
        "windows_total": len(windows),
        "failed": [
            {name: one[name] for name in ("partition", "state", "reason", "detail")}
            for one in bad
        ],
        "message": _message(counts, windows, bad),
    }

    def store(connection: Connection) -> Mapping[str, Any]:
        ingest_runs.create(
            connection,
            tenant_id=context.tenant_id,
            new=ingest_runs.NewRun(
                id=pull_store.run_id(context),
                source=one.source.name,
                counts={name: counts[name] for name in COUNTS},
                job_id=context.job_id,
                source_id=one.source.id,
                state=state,
                detail={"tier": tier, "failed": result["failed"]},
            ),
            now=context.now,
        )
        return {}

    return Outcome(result, store)


def _message(
    counts: Mapping[str, int], windows: Sequence[Any], bad: Sequence[Mapping[str, Any]]
) -> str:
    if bad:
        names = ", ".join(one["partition"] for one in bad[:5])
        return f"{len(bad)} of {len(windows)} partitions failed: {names}"
    if not windows:
        return "there was nothing to read yet"
    if counts["written"] or counts["revised"]:
        return f"{counts['written']} new and {counts['revised']} revised values"
    if not counts["unchanged"]:
        return "the source had nothing for this window"
    return f"nothing was new: {counts['unchanged']} values were stored already"
