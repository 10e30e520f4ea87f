"""Sources as a tenant sees them: check, create, change, pause, delete, and their jobs.

A source's schedule is a row of ``schedules`` that follows it in the same transaction.
The caller opens the tenant's transaction and says what time it is.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from db import credentials, sources
from db import schedules as rows
from db.schedules import Plan, Schedule
from db.session import Connection
from db.sources import Setup, Source
from tasks import connectors, ingest_freshness, schedules, taps
from tasks.cron import BadRule, next_fire, zone_of
from tasks.errors import FieldError, InvalidParams, NotFound, StateConflict
from tasks.freshness_rules import check_calendar
from tasks.ingest import UPLOAD
from tasks.submission import Submission

CATCH_UP_S = 21_600
"""How late a nightly read may still be fired: late data is better than none."""

_BACKFILL_PRIORITY = 2


def create(
    connection: Connection,
    *,
    tenant_id: int,
    setup: Setup,
    now: datetime,
    allowed: Collection[str] = (),
) -> Source:
    """Create a source with its schedule; paused where its licence needs a look.

    An enabled one brings a schedule that looks at the freshness of all sources.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose source it will be.
        setup: what the tenant decides about it.
        now: when.
        allowed: the names of the taps that the tenant may run.

    Raises:
        InvalidParams: the config, the credential or a rule is not valid.
        StateConflict: the name is taken.
    """
    reserved = f"{UPLOAD} is what uploaded files are called; take another name"
    errors = [FieldError("/name", reserved)] if setup.name == UPLOAD else []
    _refuse([*errors, *_faults(connection, tenant_id, setup, now, allowed)])
    spec = connectors.spec_of(setup.connector)
    by_default = spec is not None and spec.enabled
    made = sources.create(
        connection,
        tenant_id=tenant_id,
        setup=replace(setup, enabled=setup.enabled and by_default),
        now=now,
    )
    if made is None:
        raise StateConflict(
            f"there is a source named {setup.name!r}; change that one, or take "
            "another name"
        )
    return _followed(connection, made, now)


def find(connection: Connection, *, tenant_id: int, name: str) -> Source:
    """Return the tenant's source.

    Raises:
        NotFound: no such source in this tenant.
    """
    found = sources.find_by_name(connection, tenant_id=tenant_id, name=name)
    if found is None:
        raise NotFound(f"no source {name}")
    return found


def change(
    connection: Connection,
    *,
    tenant_id: int,
    name: str,
    changes: Mapping[str, Any],
    now: datetime,
    allowed: Collection[str] = (),
) -> Source:
    """Change ``config``, ``credential`` or ``options``; those of options one by one.

    What is changed may have been why it failed, so its breaker is closed.

    Raises:
        NotFound: no such source in this tenant.
        InvalidParams: it would not be valid.
    """
    held = _held(connection, tenant_id, name)
    if not changes:
        return held
    options = {**held.options, **changes.get("options", {})}
    wanted = replace(held, **{**changes, "options": options}, updated_at=now)
    _refuse(_faults(connection, tenant_id, wanted, now, allowed))
    return _followed(connection, _closed(connection, wanted), now)


def switch(
    connection: Connection,
    *,
    tenant_id: int,
    name: str,
    enabled: bool,
    now: datetime,
    allowed: Collection[str] = (),
) -> Source:
    """Pause a source or let it run; its schedule follows, and its breaker is closed.

    Raises:
        NotFound: no such source in this tenant.
        InvalidParams: it can no longer run as it is.
    """
    held = _held(connection, tenant_id, name)
    if enabled:
        _refuse(_faults(connection, tenant_id, held, now, allowed))
        held = _closed(connection, held)
    if held.enabled != enabled:
        held = replace(held, enabled=enabled, updated_at=now)
    return _followed(connection, held, now)


def remove(connection: Connection, *, tenant_id: int, name: str) -> None:
    """Delete a source with its schedule and its ledger; observations stay.

    With the last source goes the schedule that looks at the freshness of sources.

    Raises:
        NotFound: no such source in this tenant.
    """
    held = _held(connection, tenant_id, name)
    _drop(connection, held)
    sources.delete(connection, source=held)
    if not sources.page(connection, tenant_id=tenant_id, after=None, limit=1):
        ingest_freshness.watch_no_more(connection, tenant_id=tenant_id)


def schedule_of(connection: Connection, source: Source) -> Schedule | None:
    """Return the row of a source's schedule, or None."""
    if source.schedule_id is None:
        return None
    return rows.find(
        connection, tenant_id=source.tenant_id, schedule_id=source.schedule_id
    )


def warnings(source: Source) -> list[str]:
    """Return what the owner of a source has to know."""
    spec = connectors.spec_of(source.connector)
    if spec is None:
        return [f"this Forebay has no connector {source.connector!r}: it cannot run"]
    if spec.enabled:
        return []
    state = "it runs, as you enabled it" if source.enabled else "it is paused"
    return [f"{spec.title} is off by default, and {state}. {spec.licence}"]


def probe(source: Source, *, rows: int, discover: bool = False) -> Submission:
    """Return the job that asks a source once and stores nothing."""
    params = {"source": source.name, "rows": rows, "discover": discover}
    return Submission("ingest.probe", params, _labels(source))


def run(
    source: Source,
    *,
    mode: str,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Submission:
    """Return the job that reads a source; a backfill waits behind what is urgent.

    Raises:
        StateConflict: the source is paused.
    """
    if not source.enabled:
        raise StateConflict(f"the source {source.name} is paused; enable it first")
    params: dict[str, Any] = {"source": source.name, "mode": mode}
    window = {"start": start, "end": end}
    params |= {name: at.isoformat() for name, at in window.items() if at is not None}
    if mode == "incremental":
        return Submission("ingest.run", params, _labels(source))
    return Submission(
        "ingest.run",
        params,
        _labels(source),
        lane="backfill",
        priority=_BACKFILL_PRIORITY,
    )


def watch(source: Source, *, after: str) -> Submission | None:
    """Return the job that scores what a read brings, or None where nobody wants it."""
    params = _watch_params(source)
    if params is None:
        return None
    return Submission("analysis.watch", params, _labels(source), after=(after,))


def replay(source: Source, *, partition: str | None, quarantined: bool) -> Submission:
    """Return the job that parses kept answers again; the source is not asked."""
    params = {
        "source": source.name,
        "partition": partition,
        "quarantined": quarantined,
    }
    return Submission("ingest.replay", params, _labels(source))


def _labels(source: Source) -> dict[str, str]:
    return {"source": source.name}


def _held(connection: Connection, tenant_id: int, name: str) -> Source:
    held = sources.hold(connection, tenant_id=tenant_id, name=name)
    if held is None:
        raise NotFound(f"no source {name}")
    return held


def _closed(connection: Connection, source: Source) -> Source:
    sources.note_success(connection, tenant_id=source.tenant_id, source_id=source.id)
    return replace(source, failures=0, open_until=None)


def _faults(
    connection: Connection,
    tenant_id: int,
    setup: Setup,
    now: datetime,
    allowed: Collection[str],
) -> list[FieldError]:
    there, missing = None, None
    if setup.credential is not None:
        found = credentials.keep(connection, tenant_id=tenant_id, name=setup.credential)
        if found is None:
            detail = f"there is no credential {setup.credential}; put it first"
            missing = FieldError("/credential", detail)
        else:
            there = (found.name, found.fields)
    fitting = connectors.faults(setup.connector, config=setup.config, credential=there)
    if missing is not None:
        # What is not there lacks nothing: one fault is told, not two.
        fitting = [one for one in fitting if one.pointer != missing.pointer]
        fitting.append(missing)
    fitting += taps.faults(setup.connector, setup.config, allowed)
    return [*fitting, *_rule_faults(setup.options, now)]


def _rule_faults(options: Mapping[str, Any], now: datetime) -> list[FieldError]:
    found = []
    for place in ("schedule", "expected"):
        for check in _checks(options.get(place) or {}, now):
            try:
                check()
            except BadRule as error:
                pointer = f"/{place}/{error.field}"
                found.append(FieldError(pointer, error.detail))
    return found


def _checks(rule: Mapping[str, Any], now: datetime) -> list[Callable[[], object]]:
    """Return what refuses a rule that nobody could follow, field by field."""
    cron, calendar = rule.get("cron", "0 * * * *"), rule.get("calendar")
    checks: list[Callable[[], object]] = [
        lambda: zone_of(rule.get("timezone", "UTC")),
        lambda: next_fire(cron, timezone="UTC", after=now),
    ]
    if calendar is not None:
        checks.append(lambda: check_calendar(calendar))
    return checks


def _refuse(errors: Sequence[FieldError]) -> None:
    if errors:
        raise InvalidParams(errors[0].detail, tuple(errors))


def _followed(connection: Connection, source: Source, now: datetime) -> Source:
    """Store a source with a schedule that is as the source says."""
    wanted = source.options.get("schedule")
    if wanted is None:
        _drop(connection, source)
        schedule_id = None
    else:
        schedule_id = _scheduled(connection, source, wanted, now)
    followed = replace(source, schedule_id=schedule_id)
    sources.store(connection, source=followed, now=source.updated_at)
    if followed.enabled:
        ingest_freshness.watch(connection, tenant_id=source.tenant_id, now=now)
    return followed


def _scheduled(
    connection: Connection, source: Source, at: Mapping[str, Any], now: datetime
) -> str:
    tenant_id, there = source.tenant_id, schedule_of(connection, source)
    rule = {"cron": at["cron"], "timezone": at["timezone"]}
    if there is None:
        plan = Plan(
            name=f"source:{source.name}",
            jobs=_jobs(source),
            catch_up_s=CATCH_UP_S,
            overlap="skip",
            enabled=source.enabled,
            **rule,
        )
        made = schedules.create(connection, tenant_id=tenant_id, plan=plan, now=now)
        return made.id
    wanted = {**rule, "jobs": _jobs(source)}
    changes = {name: new for name, new in wanted.items() if vars(there)[name] != new}
    schedules.change(
        connection,
        tenant_id=tenant_id,
        schedule_id=there.id,
        changes=changes,
        now=now,
    )
    schedules.switch(
        connection,
        tenant_id=tenant_id,
        schedule_id=there.id,
        enabled=source.enabled,
        now=now,
    )
    return there.id


def _jobs(source: Source) -> list[dict[str, Any]]:
    """Return what a fire of the schedule submits: the read, and who looks at it."""
    read: dict[str, Any] = {"type": "ingest.run", "params": {"source": source.name}}
    params = _watch_params(source)
    if params is None:
        return [read]
    look = {"type": "analysis.watch", "after": ["read"], "params": params}
    return [{**read, "ref": "read"}, look]


def _watch_params(source: Source) -> dict[str, Any] | None:
    watch = source.options.get("watch")
    return None if watch is None else {**watch, "series": {"source": source.name}}


def _drop(connection: Connection, source: Source) -> None:
    """Delete a source's schedule; its owner may have done so already."""
    if source.schedule_id is None:
        return
    tenant_id, schedule_id = source.tenant_id, source.schedule_id
    held = rows.hold(connection, tenant_id=tenant_id, schedule_id=schedule_id)
    if held is not None:
        rows.delete(connection, tenant_id=tenant_id, schedule_id=schedule_id)
