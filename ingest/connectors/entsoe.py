"""ENTSO-E Transparency Platform, REST: prices, load, generation, flows, outages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ingest.connectors import connector
from ingest.contract import (
    Config,
    Example,
    Limits,
    Page,
    Partition,
    SecretField,
    SeriesMeta,
    Spec,
    Tier,
    cut,
)
from ingest.entsoe_curves import Curves
from ingest.entsoe_documents import BAN_S, Found, read_documents
from ingest.entsoe_series import is_forecast
from ingest.entsoe_zip import Refusal
from ingest.exchange import Answer, Request, secret
from ingest.packed import unpacked
from ingest.verdicts import Verdict, general, markup, retry_after_s

_AREA = re.compile(r"[0-9]{2}[A-Z][0-9A-Z-]{13}")
_LAST_OFFSET = 4_800
_BAD_REQUEST, _AUTH, _TOO_MANY, _SERVER = 400, {401, 403}, 429, 500
_WAIT_S = 10.0
_YEAR = 365

DocumentType = Literal[
    "A09", "A11", "A44", "A61", "A65", "A68", "A69", "A71", "A73", "A75",
    "A77", "A80", "A85", "A86",
]  # fmt: skip


@dataclass(frozen=True)
class Document:
    """How a kind of document is asked for.

    Attributes:
        title: for people.
        domains: the parameters that name the area; two take both sides of a border,
            or the area twice.
        border: whether the two are the sides of a border.
        process: the process type that is asked for by default, or None for none.
        extra: parameters that never change.
        days: the longest window of one request.
        paged: whether an offset may be given where there are too many instances.
    """

    title: str
    domains: tuple[str, ...]
    border: bool = False
    process: str | None = None
    extra: tuple[tuple[str, str], ...] = ()
    days: int = _YEAR
    paged: bool = False


_DAY_AHEAD = frozenset({"A09", "A44", "A61"})
_TOMORROW = timedelta(days=2)
_AHEAD = {
    "A31": timedelta(days=15),
    "A32": timedelta(days=63),
    "A33": timedelta(days=_YEAR),
}
"""How far ahead the forecasts of a week, a month and a year lie."""

_BOTH = ("in_Domain", "out_Domain")
DOCUMENTS: Mapping[DocumentType, Document] = {
    "A09": Document("Scheduled commercial exchanges", _BOTH, border=True),
    "A11": Document("Physical flows", _BOTH, border=True),
    "A44": Document("Prices", _BOTH),
    "A61": Document("Transfer capacities", _BOTH, border=True),
    "A65": Document("Total load", ("outBiddingZone_Domain",), process="A16"),
    "A68": Document("Installed capacity", ("in_Domain",), process="A33"),
    "A69": Document("Wind and solar forecast", ("in_Domain",), process="A01"),
    "A71": Document("Generation forecast", ("in_Domain",), process="A01"),
    "A73": Document("Generation by unit", ("in_Domain",), process="A16", days=1),
    "A75": Document("Generation by type", ("in_Domain",), process="A16"),
    "A77": Document("Outages of production", ("biddingZone_Domain",), paged=True),
    "A80": Document("Outages of generation", ("biddingZone_Domain",), paged=True),
    "A85": Document("Imbalance prices", ("controlArea_Domain",)),
    "A86": Document(
        "Imbalance volumes", ("controlArea_Domain",), extra=(("businessType", "A19"),)
    ),
}


class EntsoeConfig(Config):
    """One kind of document for some areas."""

    base_url: str = Field(
        default="https://web-api.tp.entsoe.eu/api",
        description="Where documents are asked for.",
    )
    document: DocumentType = Field(
        description="The document type, such as A44 for prices and A65 for load."
    )
    areas: tuple[str, ...] = Field(
        min_length=1,
        max_length=100,
        description=(
            "EIC codes of areas, such as 10YBE----------2; for flows, schedules and "
            "capacities two codes as from>to."
        ),
    )
    process: str | None = Field(
        default=None,
        pattern=r"^A\d\d$",
        description=(
            "The process type, such as A16 (actual), A01 (day ahead), A18 or A40 "
            "(intraday); by default the usual one of the document."
        ),
    )
    contract: str | None = Field(
        default=None,
        pattern=r"^A\d\d$",
        description="The contract type, such as A01 (daily) or A07 (intraday).",
    )
    sequence: int | None = Field(
        default=None, ge=1, le=9, description="The auction's sequence; 1 is SDAC."
    )
    psr_type: str | None = Field(
        default=None,
        pattern=r"^B\d\d$",
        description="The production type, such as B16 for solar; by default all.",
    )
    days_at_once: int = Field(
        default=31,
        ge=1,
        le=_YEAR,
        description="The longest window of one request; some documents allow 1 day.",
    )

    @field_validator("areas")
    @classmethod
    def _distinct(cls, areas: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(areas)) < len(areas):
            message = "an area is named twice"
            raise ValueError(message)
        return areas

    @model_validator(mode="after")
    def _codes(self) -> Self:
        wanted = 2 if DOCUMENTS[self.document].border else 1
        for area in self.areas:
            sides = area.split(">")
            if len(sides) != wanted or not all(map(_AREA.fullmatch, sides)):
                form = "EIC>EIC" if wanted > 1 else "EIC"
                message = f"{area!r} is not {form}, a code having 16 characters"
                raise ValueError(message)
        return self


@connector("entsoe")
class Entsoe:
    """Documents of the transparency platform, a request for each area."""

    spec: ClassVar[Spec] = Spec(
        title="ENTSO-E Transparency Platform",
        licence=(
            "ENTSO-E Transparency Platform, CC BY 4.0 for most data items; see the "
            "platform's list of data available for re-use."
        ),
        limits=Limits(per_second=5.0, burst=20.0),  # 400 a minute, then a ban
        secrets=(SecretField("security_token", "Web API security token"),),
        tiers=(
            Tier("hot", timedelta(days=3), timedelta(days=1)),
            Tier("warm", timedelta(days=35), timedelta(days=7)),
        ),
        span=timedelta(days=31),
        completeness="document",
        documentation=(
            "https://transparencyplatform.zendesk.com/hc/en-us/sections/12783116987028"
        ),
    )
    config_type: ClassVar[type[Config]] = EntsoeConfig

    def __init__(self, config: EntsoeConfig) -> None:
        self.config = config
        self.document = DOCUMENTS[config.document]

    @property
    def ahead(self) -> timedelta:
        """Prices, schedules and forecasts of tomorrow are told today."""
        config = self.config
        process = config.process or self.document.process
        told = config.document in _DAY_AHEAD or is_forecast(config.document, process)
        return _AHEAD.get(process or "", _TOMORROW) if told else timedelta(0)

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut a window into what one request may ask for."""
        days = min(self.config.days_at_once, self.document.days)
        group = "-".join(filter(None, (self.config.document, self.config.process)))
        return cut(start, end, span=timedelta(days=days), group=group.lower())

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Return a request for each area.

        Raises:
            ValueError: the partition is open; the source needs both ends.
        """
        if partition.start is None or partition.end is None:
            message = "ENTSO-E answers for bounded windows only"
            raise ValueError(message)
        window = (
            ("periodStart", f"{partition.start:%Y%m%d%H%M}"),
            ("periodEnd", f"{_whole_minute(partition.end):%Y%m%d%H%M}"),
        )
        offset = (("offset", "0"),) if self.document.paged else ()
        return tuple(
            Request(
                self.config.base_url,
                (*self._params(area), *window, *offset),
                headers={"SECURITY_TOKEN": secret("security_token")},
                place={"area": area, "offset": 0},
            )
            for area in self.config.areas
        )

    def _params(self, area: str) -> tuple[tuple[str, str], ...]:
        config, document = self.config, self.document
        sides = area.split(">")[::-1] * len(document.domains)  # in_Domain comes first
        said = (
            ("documentType", config.document),
            ("processType", config.process or document.process),
            *document.extra,
            *zip(document.domains, sides, strict=False),
            ("contract_MarketAgreement.type", config.contract),
            (
                "classificationSequence_AttributeInstanceComponent.position",
                None if config.sequence is None else str(config.sequence),
            ),
            ("psrType", config.psr_type),
        )
        return tuple((name, text) for name, text in said if text is not None)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Say what a document, a ZIP of documents or a refusal means."""
        answer = unpacked(answer)
        if (verdict := _outside(answer)) is not None:
            return Page(verdict)
        curves = Curves(partition.start, partition.end)
        try:
            with answer.open() as body:
                found = read_documents(body, curves)
        except Refusal as refusal:
            return Page(_with_wait(general(answer)) or refusal.verdict)
        verdict = _judged(answer, found, request.place.get("area"))
        if verdict.cls != "ok":
            return Page(verdict)
        follow = self._next(request, found)
        if isinstance(follow, Verdict):
            return Page(follow)
        if curves.empty:
            verdict = Verdict("empty", "nothing of the answer lies in the window")
        return Page(
            verdict,
            (batch for piece in curves.pieces for batch in piece.batches()),
            follow=follow,
            series=tuple(found.series.values()),
            complete=not self.document.paged and _covers(found, partition),
        )

    def _next(self, request: Request, found: Found) -> tuple[Request, ...] | Verdict:
        """Ask on from behind the last instance, whose greatest number has changed."""
        if not self.document.paged or not found.instances:
            return ()
        offset = int(request.place.get("offset", 0)) + found.instances
        if offset > _LAST_OFFSET:
            detail = f"more than {_LAST_OFFSET} instances in one window"
            return Verdict("split_window", detail)
        params = [pair for pair in request.params if pair[0] != "offset"]
        place = {**request.place, "offset": offset}
        asked = (*params, ("offset", str(offset)))
        return (replace(request, params=asked, place=place),)

    def discover(self) -> Request | None:
        """Return None: the platform lists no series."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Return no series; see ``discover``."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return three hours of prices, of which one is no number."""
        start = datetime(2026, 1, 1, 23, tzinfo=UTC)
        end = start + timedelta(hours=3)
        config = EntsoeConfig(document="A44", areas=("10YBE----------2",))
        partition = Partition("example", start, end)
        answer = Answer(200, {"content-type": "application/xml"}, end, _EXAMPLE)
        return Example(config, partition, (answer,))


def _whole_minute(at: datetime) -> datetime:
    """Round up to a minute, which is as fine as can be asked."""
    floor = at.replace(second=0, microsecond=0)
    return floor if floor == at else floor + timedelta(minutes=1)


def _outside(answer: Answer) -> Verdict | None:
    """Return what is wrong beside any document, or None."""
    if answer.status == _TOO_MANY:
        told = general(answer)
        wait_s = max(BAN_S, retry_after_s(answer) or 0.0)
        return Verdict("rate_limited", told.detail if told else "", wait_s)
    if not answer.whole or answer.status in _AUTH or answer.status < _BAD_REQUEST:
        return general(answer) or markup(answer)
    if markup(answer) is not None:
        return _with_wait(general(answer))
    return None


def _judged(answer: Answer, found: Found, asked: object) -> Verdict:
    """Weigh what a document says against the status it came with."""
    if answer.status >= _BAD_REQUEST and found.verdict.cls == "ok":
        return general(answer) or found.verdict
    if found.verdict.cls == "ok" and not found.placed and asked:
        # Without it, the series of all areas would have one name.
        return Verdict("schema_drift", f"a series names no area, {asked} was asked")
    if answer.status >= _SERVER and found.verdict.cls == "config":
        return Verdict("transient", found.verdict.detail, _WAIT_S)
    return found.verdict


def _with_wait(verdict: Verdict | None) -> Verdict | None:
    if verdict is None or verdict.cls != "transient" or verdict.wait_s is not None:
        return verdict
    return replace(verdict, wait_s=_WAIT_S)


def _covers(found: Found, partition: Partition) -> bool:
    """Return whether one sound document says that it tells of the whole window."""
    if found.curves.faulty or len(found.covers) != 1 or partition.end is None:
        return False
    ((start, end),) = found.covers
    return partition.start is not None and (
        start <= partition.start and partition.end <= end
    )


_EXAMPLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<Publication_MarketDocument
 xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3">
<type>A44</type>
<period.timeInterval>
<start>2026-01-01T23:00Z</start><end>2026-01-02T02:00Z</end>
</period.timeInterval>
<TimeSeries>
<mRID>1</mRID><businessType>A62</businessType>
<in_Domain.mRID codingScheme="A01">10YBE----------2</in_Domain.mRID>
<out_Domain.mRID codingScheme="A01">10YBE----------2</out_Domain.mRID>
<contract_MarketAgreement.type>A01</contract_MarketAgreement.type>
<currency_Unit.name>EUR</currency_Unit.name>
<price_Measure_Unit.name>MWH</price_Measure_Unit.name>
<curveType>A03</curveType>
<Period>
<timeInterval><start>2026-01-01T23:00Z</start><end>2026-01-02T02:00Z</end></timeInterval>
<resolution>PT60M</resolution>
<Point><position>1</position><price.amount>20.5</price.amount></Point>
<Point><position>3</position><price.amount>n.a.</price.amount></Point>
</Period>
</TimeSeries>
</Publication_MarketDocument>"""
