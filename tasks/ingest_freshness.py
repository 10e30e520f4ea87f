"""``ingest.freshness``: judge the series of sources, and tell of each change once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from db import findings, freshness
from db.freshness import Judged
from db.session import Connection
from tasks import raw
from tasks.catalog import Limits, Params, job_type
from tasks.context import JobContext, Outcome
from tasks.cron import BadRule
from tasks.freshness import IsOpen, Rule, judge
from tasks.source_plan import SourceName

CHANGED = "freshness.changed"
_DEFAULT_CRON = "0 * * * *"
_MARGIN = timedelta(hours=36)
"""Without a rule of the owner's: a night's run, and half a day for a bad one."""


class FreshnessParams(Params):
    """Whose series to judge."""

    source: SourceName | None = Field(
        default=None, description="One source; by default all that are enabled."
    )


@job_type(
    "ingest.freshness", params=FreshnessParams, queue="system", limits=Limits(300)
)
def look(params: FreshnessParams, context: JobContext) -> Outcome:
    """Judge how fresh series are, tell of changes, and drop old raw answers."""

    def store(connection: Connection) -> Mapping[str, Any]:
        freshness.hold(connection, tenant_id=context.tenant_id)
        found = freshness.of_tenant(
            connection, tenant_id=context.tenant_id, source=params.source
        )
        now = _judged(found, context.now)
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
            "forgotten": raw.forget(connection, context, keep=keep),
        }

    return Outcome({}, store)


def _judged(found: Sequence[Judged], now: datetime) -> list[tuple[Judged, str]]:
    judged: list[tuple[Judged, str]] = []
    for one in found:
        rule, is_open = _rule(one)
        try:
            judged.append((one, judge(one.watermark, rule, now=now, is_open=is_open)))
        except BadRule:
            judged.append((one, one.freshness or "fresh"))
    return judged


def _news(one: Judged, state: str) -> bool:
    """Return whether anybody has to hear of it; a first look finds most fresh."""
    return one.freshness is not None or state != "fresh"


def _told(one: Judged, state: str, now: datetime) -> dict[str, Any]:
    return {
        "source": one.source,
        "unique_id": one.key,
        "freshness": state,
        "before": one.freshness,
        "latest": one.watermark,
        "since": now,
        "links": {"self": f"/v1/sources/{one.source}/series"},
    }


def _rule(one: Judged) -> tuple[Rule, IsOpen]:
    from ingest.connectors import connectors

    given = one.expected
    if given is None:
        kind = connectors().get(one.connector)
        lag = kind.spec.lag if kind else timedelta(0)
        return Rule(_DEFAULT_CRON, reach=lag + _MARGIN), lambda _: True
    rule = Rule(
        given["cron"],
        given.get("timezone") or "UTC",
        reach=timedelta(hours=float(given.get("reach_h") or 24)),
        grace=timedelta(seconds=float(given.get("grace_s") or 7_200)),
    )
    calendar = given.get("calendar")
    return rule, _open_days(calendar) if calendar else lambda _: True


def _open_days(calendar: str) -> IsOpen:
    from forecasting.open_days import open_days

    def is_open(at: datetime) -> bool:
        day = at.date().isoformat()
        return len(open_days(calendar, first=day, final=day)) > 0

    return is_open
