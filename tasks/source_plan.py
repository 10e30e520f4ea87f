"""What a run of a source reads: from its watermark back by a lookback, up to now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
)

from db import source_progress, source_series, sources
from db.sources import Source
from tasks.catalog import Params
from tasks.context import JobContext
from tasks.errors import FieldError, InvalidData

if TYPE_CHECKING:
    from ingest.contract import Connector, Partition, Spec, Tier

Mode = Literal["incremental", "full", "backfill"]

SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]

WITHIN = "within"
"""In the part of a partition whose answer holds more than its window: only that counts.

It is kept in the ledger with the rest of the part, so a replay knows it, too.
"""

_FILLED_IN: dict[str, JsonValue] = {"readOnly": True}
_FIRST_BACK = timedelta(days=30)
_EARLY = timedelta(hours=1)
"""How much earlier than last time a nightly run may begin and be a period later."""

_LAGGARD = timedelta(days=45)
"""A series that is so far behind the newest has ended, and holds nothing up."""


class PartitionParams(Params):
    """One partition of a run; the platform fills it in when it splits a job."""

    id: str
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    part: dict[str, Any] = Field(default_factory=dict)


class RunParams(Params):
    """What a run of a source is asked for."""

    source: SourceName = Field(
        default="upload",
        description="The name of a source, or upload for an uploaded file.",
    )
    mode: Mode = Field(
        default="incremental",
        description="incremental: from the watermark back by the lookback. backfill: "
        "a window, in the lane of backfills if the job is submitted there; it moves no "
        "watermark. full: all since the source's beginning. The same for uploads: all "
        "rows are read, changed values written.",
    )
    start: AwareDatetime | None = Field(
        default=None, description="Of a source: from when on to read."
    )
    end: AwareDatetime | None = Field(
        default=None, description="Of a source: up to when to read, by default now."
    )
    partition: PartitionParams | None = Field(
        default=None,
        description="Filled in by Forebay where a run is split; refused from clients.",
        json_schema_extra=_FILLED_IN,
    )
    tier: str = Field(
        default="",
        description="Filled in by Forebay; refused from clients.",
        json_schema_extra=_FILLED_IN,
    )


@dataclass(frozen=True)
class Opened:
    """A source with the connector that its config makes."""

    source: Source
    connector: "Connector"

    @property
    def spec(self) -> "Spec":
        """What is known of the connector's source."""
        return self.connector.spec


def opened(context: JobContext, *, name: str) -> Opened:
    """Return a source of the tenant, ready to be asked.

    Raises:
        InvalidData: there is no such source, or its config no longer fits.
    """
    from ingest.connectors import connectors

    with context.read() as connection:
        found = sources.find_by_name(connection, tenant_id=context.tenant_id, name=name)
    if found is None:
        raise _refused(f"there is no source {name!r}")
    kind = connectors().get(found.connector)
    if kind is None:
        raise _refused(f"this worker knows no connector {found.connector!r}")
    try:
        config = kind.config_type.model_validate(found.config)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
        )
        raise _refused(f"the config of {name!r} is not valid: {told}") from error
    return Opened(found, kind(config))


@dataclass(frozen=True)
class Plan:
    """What a run reads: partitions of a window, and the tier of the lookback."""

    partitions: tuple["Partition", ...]
    start: datetime
    end: datetime
    tier: str


def planned(
    one: Opened,
    context: JobContext,
    *,
    mode: Mode,
    start: datetime | None,
    end: datetime | None,
) -> Plan:
    """Return what a run reads.

    Raises:
        InvalidData: the window is empty.
    """
    tier = ""
    if mode == "incremental" and start is None:
        start, tier = _since(one, context)
    elif start is None:
        start = _first(one, context)
    end = end or context.now - one.spec.lag + _ahead(one)
    if start >= end:
        raise _refused(f"the window from {start} to {end} is empty")
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    partitions = one.connector.plan(start, end)
    if mode == "backfill" and not asks_window(one):
        partitions = tuple(
            replace(each, part={**each.part, WITHIN: True}) for each in partitions
        )
    return Plan(partitions, start, end, tier)


def partition_params(partitions: Sequence["Partition"]) -> list[PartitionParams]:
    """Return partitions as they are sent to the parts of a job."""
    return [
        PartitionParams(id=one.id, start=one.start, end=one.end, part=dict(one.part))
        for one in partitions
    ]


def partition_of(params: PartitionParams) -> "Partition":
    """Return the partition that a part of a job is to read."""
    from ingest.contract import Partition

    return Partition(params.id, params.start, params.end, params.part)


def _since(one: Opened, context: JobContext) -> tuple[datetime, str]:
    """Return where a nightly run begins: watermarks follow data, not the clock."""
    with context.read() as connection:
        marks = source_series.watermarks(
            connection, tenant_id=context.tenant_id, source_id=one.source.id
        )
        latest = source_progress.latest_tiers(
            connection, tenant_id=context.tenant_id, source_id=one.source.id
        )
    mark = _lowest(marks, now=context.now)
    if mark is None:
        return _first(one, context), ""
    widest = due_tier(one.spec.tiers, latest, now=context.now)
    # Marks of forecasts, and of mistakes, lie ahead; what is looked back at does not.
    end = context.now - one.spec.lag
    start = min(min(mark, end) - _back(one, widest.back), end - _EARLY)
    if one.source.options.get("since") is not None:
        # What lies before the beginning was not wanted then, and is not now.
        start = max(start, min(_first(one, context), mark))
    return start, widest.name


def due_tier(
    tiers: Sequence["Tier"], latest: Mapping[str, datetime], *, now: datetime
) -> "Tier":
    """Return the widest tier of the lookback whose time has come; the first always has.

    A wider one that was read has read the narrower ones too.

    Args:
        tiers: of the connector.
        latest: when each was last read, by name.
        now: when the run began.
    """

    def read_at(tier: "Tier") -> list[datetime]:
        wide = [one.name for one in tiers if one.back >= tier.back]
        return [latest[name] for name in wide if name in latest]

    due = [
        tier
        for tier in tiers
        if tier is tiers[0]
        or not read_at(tier)
        or now - max(read_at(tier)) >= tier.every - _EARLY
    ]
    return max(due, key=lambda tier: tier.back)


def _back(one: Opened, usual: timedelta) -> timedelta:
    hours = one.source.options.get("lookback_h")
    return usual if hours is None else max(timedelta(hours=float(hours)), timedelta(0))


def _ahead(one: Opened) -> timedelta:
    from ingest.contract import LooksAhead

    if isinstance(one.connector, LooksAhead):
        return one.connector.ahead
    return timedelta(0)


def asks_window(one: Opened) -> bool:
    """Return whether the source can be asked for a window, or gives all it has."""
    from ingest.contract import AsksWindow

    return not isinstance(one.connector, AsksWindow) or one.connector.asks_window


def _first(one: Opened, context: JobContext) -> datetime:
    since = one.source.options.get("since")
    if since is None:
        return context.now - _FIRST_BACK
    first = datetime.fromisoformat(str(since))
    return first if first.tzinfo else first.replace(tzinfo=UTC)


def _lowest(marks: Mapping[str, datetime | None], *, now: datetime) -> datetime | None:
    known = [mark for mark in marks.values() if mark is not None]
    if not known:
        return None
    # Only what lies behind is a measure of who lags; forecasts alone all lie ahead.
    newest = max([mark for mark in known if mark <= now], default=max(known))
    return min(mark for mark in known if newest - mark <= _LAGGARD)


def paused(name: str) -> InvalidData:
    """Return what a run of a paused source ends with."""
    return _refused(f"the source {name} is paused; enable it first")


def _refused(detail: str) -> InvalidData:
    return InvalidData(detail, (FieldError("/params/source", detail),))
