"""What connectors and their driver agree on: plans, requests, pages, what is known.

The shelf itself is ``ingest/connectors``.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from ingest.exchange import Answer, Request
from ingest.verdicts import Verdict

if TYPE_CHECKING:
    from ingest.batch import Batch

_KEY_LENGTH = 120


class Config(BaseModel):
    """What the owner of a source fills in: frozen, closed, finite, described."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


@dataclass(frozen=True)
class Limits:
    """What a source lets one client do; shared by all workers.

    Attributes:
        per_second: requests, or units of ``Request.cost``.
        burst: how many may come at once.
        per_day: requests a day, or None.
    """

    per_second: float
    burst: float = 1.0
    per_day: float | None = None


@dataclass(frozen=True)
class Tier:
    """How far back is read again, and how often, because sources revise."""

    name: str
    back: timedelta
    every: timedelta


@dataclass(frozen=True)
class SecretField:
    """A secret that the source's credential has to hold."""

    name: str
    title: str
    required: bool = True


@dataclass(frozen=True)
class Spec:
    """What is known of a source without asking it.

    Attributes:
        title: for people.
        licence: under which its data may be used, in a sentence.
        limits: how fast it may be asked, kept well below what it allows.
        version: of the contract; one more when the meaning of rows changes.
        secrets: what its credential holds; empty for open sources.
        tiers: how far back is read again; the first one each night.
        span: the longest window of one partition, or None for no limit.
        lag: how long after its end an interval is published at the earliest.
        completeness: how an answer proves to be whole: by a declared total, because a
            document covers its window, or not at all. Only what is proven whole can
            show that a value was withdrawn.
        publication: whether rows say when they were published.
        enabled: whether a new source may run at once; false where terms need a look.
        documentation: an address to read.
    """

    title: str
    licence: str
    limits: Limits
    version: int = 1
    secrets: tuple[SecretField, ...] = ()
    tiers: tuple[Tier, ...] = (Tier("hot", timedelta(days=10), timedelta(days=1)),)
    span: timedelta | None = timedelta(days=31)
    lag: timedelta = timedelta(0)
    completeness: Literal["declared_total", "document", "none"] = "none"
    publication: Literal["published", "observed"] = "observed"
    enabled: bool = True
    documentation: str = ""


@dataclass(frozen=True)
class Partition:
    """A half-open stretch [start, end) in UTC of some series, read in one go.

    Attributes:
        id: the same for the same stretch and series, whoever plans it.
        start: aware, in UTC; None leaves the side open.
        end: aware, in UTC; None leaves the side open.
        part: which of the series, where one request cannot ask for all; JSON.
    """

    id: str
    start: datetime | None = None
    end: datetime | None = None
    part: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SeriesMeta:
    """What a source says of one of its series; ``key`` is the source's own."""

    key: str
    title: str = ""
    unit: str | None = None
    frequency: str | None = None
    timezone: str = "UTC"
    kind: Literal["observed", "forecast"] = "observed"


@dataclass(frozen=True)
class Page:
    """What one answer means.

    Attributes:
        verdict: its class.
        batches: its rows, some ten thousand at a time; iterated once, in the load.
        follow: what to ask next.
        series: what the answer says of the series it holds.
        total: how many distinct rows all pages together should have, if it says.
        drift: changes of the answer's shape that do no harm, such as ``+column``.
        complete: whether the answer proves to hold all rows of its window.
    """

    verdict: Verdict
    batches: "Iterable[Batch]" = ()
    follow: tuple[Request, ...] = ()
    series: tuple[SeriesMeta, ...] = ()
    total: int | None = None
    drift: tuple[str, ...] = ()
    complete: bool = False


@dataclass(frozen=True)
class Example:
    """A recorded exchange for the contract test: config, partition, answers in order.

    The answers stand for what ``fetch`` sends, first to last; together they hold at
    least one good and one bad row.
    """

    config: Config
    partition: Partition
    answers: tuple[Answer, ...]


class Connector(Protocol):
    """Code for one source."""

    spec: ClassVar[Spec]
    config_type: ClassVar[type[Config]]

    def __init__(self, config: Any) -> None:
        """Take a config of ``config_type``."""
        ...

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window [start, end) into partitions; the same each time."""
        ...

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Return what to ask first for a partition."""
        ...

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Say what an answer means; never raises for anything a source may send."""
        ...

    def discover(self) -> Request | None:
        """Return what lists the source's series, or None where nothing does."""
        ...

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:
        """Return the series of the answer to ``discover``."""
        ...

    @classmethod
    def example(cls) -> Example:
        """Return a recorded exchange, for the contract test."""
        ...


@runtime_checkable
class LooksAhead(Protocol):
    """A connector whose source tells of times that are still to come."""

    @property
    def ahead(self) -> timedelta:
        """How far beyond now a run reads."""
        ...


@runtime_checkable
class AsksWindow(Protocol):
    """A connector some of whose sources cannot be asked for a window; others can."""

    @property
    def asks_window(self) -> bool:
        """Whether the source is asked for a window, not for all that it has."""
        ...


def local_key(*parts: object) -> str:
    """Return a series key from what a source calls its series.

    Example:
        >>> local_key("PJM", "D"), local_key("Henry Hub", 451, None, "2026-09")
        ('pjm.d', 'henry-hub.451.2026-09')
    """
    slugs = (
        re.sub(r"[^a-z0-9:_]+", "-", str(part).lower()).strip("-_:")
        for part in parts
        if part is not None
    )
    return ".".join(slug for slug in slugs if slug)[:_KEY_LENGTH]


def cut(
    start: datetime, end: datetime, *, span: timedelta | None, group: str = ""
) -> tuple[Partition, ...]:
    """Cut a window into partitions at most ``span`` long, whose edges do not move.

    Edges lie at whole multiples of ``span`` since 1970, so two windows that overlap
    share the partitions in between.

    Args:
        start: aware, in UTC.
        end: aware, in UTC, later than start.
        span: the longest partition, or None for a single one.
        group: what tells the partitions of other series apart.

    Example:
        >>> from datetime import UTC
        >>> day = datetime(2026, 3, 1, tzinfo=UTC)
        >>> [p.id for p in cut(day, day + timedelta(days=1), span=None, group="pjm")]
        ['pjm:20260301T0000Z-20260302T0000Z']
    """
    edges = [start]
    if span is not None:
        epoch = datetime(1970, 1, 1, tzinfo=start.tzinfo)
        edge = epoch + ((start - epoch) // span + 1) * span
        while edge < end:
            edges.append(edge)
            edge += span
    edges.append(end)
    prefix = f"{group}:" if group else ""
    return tuple(
        Partition(f"{prefix}{first:%Y%m%dT%H%MZ}-{last:%Y%m%dT%H%MZ}", first, last)
        for first, last in itertools.pairwise(edges)
    )
