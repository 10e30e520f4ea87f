"""``ingest.freshness``: judge the series of sources, and tell of each change once."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from db import findings, freshness, schedules
from db.freshness import Judged
from db.schedules import Plan
from db.session import Connection
from tasks import raw
from tasks.catalog import Limits, Params, job_type
from tasks.context import JobContext, Outcome
from tasks.cron import next_beat
from tasks.freshness_rules import judged
from tasks.source_plan import SourceName

CHANGED = "freshness.changed"
JOB = "ingest.freshness"
WATCH = "sources:freshness"
"""The schedule that a tenant's first source brings along."""

_EVERY_S = 900


class FreshnessParams(Params):
    """Whose series to judge."""

    source: SourceName | None = Field(
        default=None, description="One source; by default all that are enabled."
    )


@job_type(JOB, params=FreshnessParams, queue="system", limits=Limits(300))
def look(params: FreshnessParams, context: JobContext) -> Outcome:
    """Judge how fresh series are, tell of changes, and drop old raw answers."""

    def store(connection: Connection) -> Mapping[str, Any]:
        freshness.hold(connection, tenant_id=context.tenant_id)
        found = freshness.of_tenant(
            connection, tenant_id=context.tenant_id, source=params.source
        )
        now, faults = judged(found, context.now)
        changed = [(one, state) for one, state in now if one.freshness != state]
        freshness.change(
            connection,
            tenant_id=context.tenant_id,
            changed=changed,
            now=context.now,
        )
        told = [
            _told(one, state, context.now)
            for one, state in changed
            if _news(one, state)
        ]
        findings.tell(
            connection,
            tenant_id=context.tenant_id,
            job_id=context.job_id,
            kind=CHANGED,
            told=told,
        )
        keep = timedelta(days=context.settings.raw_days)
        return {
            "series": len(now),
            "states": dict(Counter(state for _, state in now)),
            "changed": told,
            "faults": faults,
            "forgotten": raw.forget(connection, context, keep=keep),
        }

    return Outcome({}, store)


def watch(connection: Connection, *, tenant_id: int, now: datetime) -> None:
    """Let the tenant's series be judged, unless one of its schedules does so already.

    A schedule of that name that does something else is left as it is.
    """
    if not schedules.submitting(connection, tenant_id=tenant_id, job_type=JOB):
        plan = Plan(
            name=WATCH,
            jobs=[{"type": JOB}],
            every_s=_EVERY_S,
            catch_up_s=_EVERY_S,
            overlap="skip",
        )
        first = next_beat(now, every_s=_EVERY_S, after=now)
        schedules.create(
            connection, tenant_id=tenant_id, plan=plan, next_fire_at=first, now=now
        )


def watch_no_more(connection: Connection, *, tenant_id: int) -> None:
    """Take along what ``watch`` brought; schedules of the owner's own stay."""
    for one in schedules.submitting(connection, tenant_id=tenant_id, job_type=JOB):
        held = schedules.hold(connection, tenant_id=tenant_id, schedule_id=one)
        if held is not None and held.name == WATCH:
            schedules.delete(connection, tenant_id=tenant_id, schedule_id=one)


def _news(one: Judged, state: str) -> bool:
    """Return whether anybody has to hear of it; a first look finds most fresh."""
    return one.freshness is not None or state != "fresh"


def _told(one: Judged, state: str, now: datetime) -> dict[str, Any]:
    return {
        "source": one.source,
        "unique_id": one.key,
        "freshness": state,
        "before": one.freshness,
        "latest": one.latest,
        "since": now,
        "links": {"self": f"/v1/sources/{one.source}/series"},
    }
