"""``ingest.reconcile``: series that say the same thing, held against each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from db import observations
from db.reconciliations import JOB
from db.session import Connection
from tasks import differences
from tasks.catalog import job_type
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.reconcile_members import Unfit, members
from tasks.reconcile_params import Group, ReconcileParams
from tasks.reconcile_reports import as_table, pair_json, shown

if TYPE_CHECKING:
    from db.series import Series
    from ingest.reconcile import Comparison, Side

MOST_POINTS = 200_000


@job_type(JOB, params=ReconcileParams, queue="analysis", table=as_table)
def ingest_reconcile(params: ReconcileParams, context: JobContext) -> Outcome:
    """Compare series that say the same thing, and tell where they differ."""
    start, end = params.stretch(context.now)
    task = _Task(params, context, _Room(MOST_POINTS), [])
    groups: list[dict[str, Any]] = []
    for number, group in enumerate(params.groups):
        context.progress(number, len(params.groups), "groups", group.name)
        try:
            groups.append(_compared(group, task))
        except Unfit as error:
            task.fail(group, None, error)
    _refuse_empty(groups, task.failed)
    pairs = [pair for group in groups for pair in group["pairs"]]
    result = {
        "start": _utc(start),
        "end": _utc(end),
        "pairs": len(pairs),
        "differ": sum(pair["state"] == "differs" for pair in pairs),
        "groups": groups,
        "failed": task.failed,
    }

    def store(connection: Connection) -> Mapping[str, Any]:
        return differences.tell(connection, context, groups) if params.tell else {}

    return Outcome(result, store)


def _utc(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


@dataclass
class _Room:
    """How many points the result may still hold; asked before they are made."""

    left: int

    def take(self, points: int) -> None:
        self.left -= points
        if self.left < 0:
            raise InvalidData(
                f"a result holds at most {MOST_POINTS} times: compare fewer series or "
                "days, or report beyond"
            )


@dataclass(frozen=True)
class _Task:
    """What one run is asked, and what it gathers on its way."""

    params: ReconcileParams
    context: JobContext
    room: _Room
    failed: list[dict[str, Any]]

    def fail(self, group: Group, other: str | None, why: Unfit) -> None:
        """Note what cannot be compared."""
        told = {"group": group.name, "other": other, "detail": str(why)}
        self.failed.append(told)


def _refuse_empty(groups: Sequence[Mapping[str, Any]], failed: Sequence[Any]) -> None:
    if not any(group["pairs"] for group in groups):
        told = [f"{one['group']}: {one['detail']}" for one in failed[:5]]
        raise InvalidData("; ".join(told))


def _compared(group: Group, task: _Task) -> dict[str, Any]:
    every = task.params.report == "all"
    with task.context.read() as connection:
        found = members(group, connection, tenant_id=task.context.tenant_id)
        preferred = _side(connection, found.preferred, task)
        pairs = []
        for other in found.others:
            try:
                side = _side(connection, other, task)
                compared = _compare(group, (found.preferred, preferred), (other, side))
            except Unfit as error:
                task.fail(group, other.key, error)
                continue
            task.room.take(len(shown(compared, every=every)))
            about = {"other": other.key, "source": found.sources.get(other.id)}
            pairs.append({**about, **pair_json(group, compared, every=every)})
    return {
        "name": group.name,
        "kind": group.kind,
        "tolerance": group.allowed,
        "align": group.align,
        "unit": found.preferred.unit,
        "preferred": found.preferred.key,
        "preferred_source": found.sources.get(found.preferred.id),
        "pairs": pairs,
    }


def _side(connection: Connection, one: "Series", task: _Task) -> "Side":
    from ingest.reconcile import Side

    start, end = task.params.stretch(task.context.now)
    times, values = observations.read(
        connection, series_id=one.id, start=start, end=end, **task.params.then
    )
    return Side(times, values, one.timezone)


def _compare(
    group: Group, preferred: "tuple[Series, Side]", other: "tuple[Series, Side]"
) -> "Comparison":
    from ingest.errors import InvalidLayout
    from ingest.reconcile import Limit, compare

    units = preferred[0].unit, other[0].unit
    if units[0] and units[1] and units[0].strip() != units[1].strip():
        raise Unfit(f"the units differ: {units[0]!r} and {units[1]!r}")
    limit = Limit(group.allowed, group.absolute)
    try:
        return compare(preferred[1], other[1], align=group.align, limit=limit)
    except InvalidLayout as error:
        raise Unfit(str(error)) from error
