"""How a run of a source ended: succeeded, partial or failed, and who is told."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from db import findings, ingest_runs
from db.session import Connection
from tasks.context import JobContext, Outcome
from tasks.errors import SourceRefused
from tasks.pull_ledger import UNCHANGED, run_id
from tasks.source_plan import Opened

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
_MOST_NOTES = 100
_NAMED = 20
"""Failed partitions that an event names."""


def judged(
    one: Opened, windows: list[dict[str, Any]], context: JobContext, *, tier: str
) -> Outcome:
    """Join what became of partitions into the result of the run, and tell of its end.

    Raises:
        SourceRefused: not one partition could be read; that is noted and told, too.
    """
    bad = [one for one in windows if one["state"] in ("failed", "held")]
    counts = Counter[str]()
    for window in windows:
        counts.update({name: window.get(name, 0) for name in COUNTS})
    state = _state(windows, bad)
    notes = _notes(windows, counts)
    result = {
        "source": one.source.name,
        "run_id": run_id(context),
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
        "notes": notes[:_MOST_NOTES],
        "notes_total": len(notes),
        "message": _message(counts, windows, bad) + _left_out(windows),
    }
    if state == "failed":
        with context.note() as connection:
            _write(connection, one, context, result)
        raise _refusal(one, windows, bad)

    def store(connection: Connection) -> Mapping[str, Any]:
        _write(connection, one, context, result)
        return {}

    return Outcome(result, store)


def _left_out(windows: Sequence[Mapping[str, Any]]) -> str:
    """Say how a source was read that cannot be asked for a window, if it is one."""
    outside = [window["outside"] for window in windows if "outside" in window]
    if not outside:
        return ""
    return (
        "; the source takes no window, so it was read once and whole: "
        f"{sum(outside)} rows outside the window were left out"
    )


def _state(windows: Sequence[Any], bad: Sequence[Any]) -> str:
    if not bad:
        return "succeeded"
    return "failed" if len(bad) == len(windows) else "partial"


def _refusal(
    one: Opened, windows: Sequence[Any], bad: Sequence[Mapping[str, Any]]
) -> SourceRefused:
    first = bad[0]
    return SourceRefused(
        f"{one.source.name}: not one of {len(windows)} partitions could be read; "
        f"{first['partition']}: {first['reason']}: {first['detail']}",
        first["reason"],
    )


def _write(
    connection: Connection, one: Opened, context: JobContext, result: Mapping[str, Any]
) -> None:
    """Note a run, and tell of it, in one transaction."""
    failed = result["failed"]
    ingest_runs.create(
        connection,
        tenant_id=context.tenant_id,
        new=ingest_runs.NewRun(
            id=result["run_id"],
            source=one.source.name,
            counts={name: result[name] for name in COUNTS},
            job_id=context.job_id,
            source_id=one.source.id,
            state=result["state"],
            detail={
                "tier": result["tier"],
                "failed": failed,
                "notes": [_shown(note) for note in result["notes"]],
            },
        ),
        now=context.now,
    )
    event = {
        **{name: result[name] for name in ("source", "run_id", "state", *COUNTS)},
        "job_id": context.job_id,
        "windows": result["windows_total"],
        "failed": failed[:_NAMED],
        "failed_total": len(failed),
        "notes_total": result["notes_total"],
        "message": result["message"],
        "links": {
            "self": f"/v1/sources/{one.source.name}/runs",
            "job": f"/v1/jobs/{context.job_id}",
        },
    }
    findings.tell(
        connection,
        tenant_id=context.tenant_id,
        job_id=context.job_id,
        kind=f"ingest.{result['state']}",
        told=[event],
    )


def _notes(
    windows: Sequence[Mapping[str, Any]], counts: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return what was odd, and whether the run looked back far enough."""
    from ingest.alarms import short_lookback

    early = sum(window.get("edge_revisions", 0) for window in windows)
    short = short_lookback(counts["revised"], early)
    notes = []
    if short is not None:
        notes.append(
            {
                "code": "short_lookback",
                "value": early,
                "against": counts["revised"],
                "detail": short,
            }
        )
    return notes + [note for window in windows for note in window.get("notes", ())]


def _shown(note: Mapping[str, Any]) -> dict[str, Any]:
    """Return a note as JSON can hold it."""
    at = note.get("ts")
    return {**note, "ts": at if at is None or isinstance(at, str) else at.isoformat()}


def _message(
    counts: Mapping[str, int], windows: Sequence[Any], bad: Sequence[Mapping[str, Any]]
) -> str:
    if bad:
        names = ", ".join(one["partition"] for one in bad[:5])
        return f"{len(bad)} of {len(windows)} partitions failed: {names}"
    if not windows:
        return "there was nothing to read, or nothing that was not read before"
    gone = f", {counts['withdrawn']} withdrawn" if counts["withdrawn"] else ""
    if counts["written"] or counts["revised"] or gone:
        return f"{counts['written']} new and {counts['revised']} revised values{gone}"
    if counts["unchanged"]:
        return f"nothing was new: {counts['unchanged']} values were stored already"
    if any(window.get("reason") == UNCHANGED for window in windows):
        return "nothing was new: the source says that nothing has changed"
    return "the source had nothing for this window"
