"""National Weather Service: observations of stations, of about the last week."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
from pydantic import Field

from ingest.batch import Rejected
from ingest.columns import RawRows
from ingest.connectors import connector
from ingest.contract import (
    Config,
    Example,
    Limits,
    Page,
    Partition,
    SeriesMeta,
    Spec,
    Tier,
    cut,
    local_key,
)
from ingest.exchange import Answer, Request
from ingest.layout import UploadLayout
from ingest.parse import parse
from ingest.refusals import refused
from ingest.verdicts import OK, Verdict, decoded, general, markup, utc

_LAYOUT = UploadLayout("ndjson")
_PAGE_SIZE = 500
_WAIT_S = 5.0
_OF_THE_PLACE = {"elevation"}
_FAILED = {"X", "B"}
"""Marks of values that failed a check, by machine and by a person."""


class NwsConfig(Config):
    """Some quantities of some stations."""

    base_url: str = Field(
        default="https://api.weather.gov", description="Where observations are read."
    )
    contact: str = Field(
        min_length=3,
        max_length=200,
        pattern=r"^[ -~]+$",
        description=(
            "An address of yours; the service refuses clients that do not say whom to "
            "write to."
        ),
    )
    stations: tuple[str, ...] = Field(
        min_length=1, max_length=1_000, description="Stations, such as KNYC."
    )
    quantities: tuple[str, ...] = Field(
        default=(),
        description=(
            "Quantities such as temperature and windSpeed; by default all there are."
        ),
    )


@connector("nws")
class Nws:
    """Observations of stations, a request for each and on from page to page."""

    spec: ClassVar[Spec] = Spec(
        title="National Weather Service observations",
        licence="Public domain, United States Government work; cite NOAA/NWS.",
        limits=Limits(per_second=2.0, burst=4.0),
        tiers=(Tier("hot", timedelta(days=6), timedelta(days=1)),),
        span=timedelta(days=7),
        documentation="https://www.weather.gov/documentation/services-web-api",
    )
    config_type: ClassVar[type[Config]] = NwsConfig

    def __init__(self, config: NwsConfig) -> None:
        self.config = config

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut a window into weeks, which is what the service keeps."""
        return cut(start, end, span=timedelta(days=7))

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask for the first page of each station."""
        window: list[tuple[str, str]] = []
        if partition.start is not None:
            window.append(("start", f"{partition.start:%Y-%m-%dT%H:%M:%SZ}"))
        if partition.end is not None:
            window.append(("end", f"{partition.end:%Y-%m-%dT%H:%M:%SZ}"))
        params = (*window, ("limit", str(_PAGE_SIZE)))
        return tuple(self._ask(station, params) for station in self.config.stations)

    def _ask(self, station: str, params: tuple[tuple[str, str], ...]) -> Request:
        return Request(
            f"{self.config.base_url}/stations/{station}/observations",
            params,
            headers={
                "User-Agent": f"Forebay ({self.config.contact})",
                "Accept": "application/geo+json",
            },
            place={"station": station},
        )

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Say what a page of observations, or a problem in its place, means."""
        verdict = general(answer)
        if verdict is not None:
            return Page(_patient(verdict))
        document = decoded(answer)
        if isinstance(document, Verdict):
            return Page(markup(answer) or document)
        features = document.get("features") if isinstance(document, dict) else None
        if not isinstance(features, list):
            drifted = Verdict("schema_drift", "the answer has no features")
            return Page(refused(document) or drifted)
        if not features:
            return Page(Verdict("empty", "the list of observations is empty"))
        station = str(request.place.get("station") or "")
        reader = _Reader(self.config.quantities, partition, station)
        raw = reader.raw(features)
        gone = _drifted(features, self.config.quantities) or reader.drift
        if gone is not None:
            return Page(gone)
        return Page(
            OK,
            parse([raw], layout=_LAYOUT),
            follow=self._next(request, document),
            series=tuple(reader.series.values()),
        )

    def _next(
        self, request: Request, document: Mapping[str, Any]
    ) -> tuple[Request, ...]:
        """Go on where the page says; only its query is taken, never its host."""
        pagination = document.get("pagination")
        address = pagination.get("next") if isinstance(pagination, Mapping) else None
        if not isinstance(address, str):
            return ()
        params = tuple(parse_qsl(urlsplit(address).query, keep_blank_values=True))
        return (replace(request, params=params),) if params else ()

    def discover(self) -> Request | None:
        """Return None: stations are found on maps."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Return no series; see ``discover``."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return an observation of three quantities, of which one failed a check."""
        start = datetime(2026, 1, 10, tzinfo=UTC)
        end = start + timedelta(days=1)
        said = {
            "station": "https://api.weather.gov/stations/KNYC",
            "timestamp": "2026-01-10T12:51:00+00:00",
            "temperature": _quantity("degC", 3.3, "V"),
            "dewpoint": _quantity("degC", 53.3, "X"),
            "windSpeed": _quantity("km_h-1", None, "Z"),
        }
        body = json.dumps({"features": [{"properties": said}]}).encode()
        answer = Answer(200, {"content-type": "application/geo+json"}, end, body)
        config = NwsConfig(contact="ops@example.org", stations=("KNYC",))
        return Example(config, Partition("example", start, end), (answer,))


def _drifted(features: list[Any], quantities: tuple[str, ...]) -> Verdict | None:
    """Return the verdict on observations that lack time, or all that is wanted."""
    each = [one.get("properties") for one in features if isinstance(one, dict)]
    names = set().union(*(said for said in each if isinstance(said, dict)))
    wanted = [("timestamp",), *([quantities] if quantities else [])]
    gone = next((some for some in wanted if names and not names & set(some)), None)
    if gone is None:
        return None
    there = ", ".join(sorted(names)[:50])
    detail = f"none of {', '.join(gone)} is there, but {there}"
    return Verdict("schema_drift", detail)


class _Reader:
    """Reads the features of one page.

    Attributes:
        series: what was said of each series.
        drift: set where a quantity comes in two units, which must not be mixed.
    """

    def __init__(
        self, quantities: tuple[str, ...], partition: Partition, asked: str
    ) -> None:
        self._asked = asked
        self._quantities = frozenset(quantities)
        self._partition = partition
        self.series: dict[str, SeriesMeta] = {}
        self.drift: Verdict | None = None

    def raw(self, features: list[Any]) -> RawRows:
        """Return the rows of all quantities, numbered by feature."""
        rejected: list[Rejected] = []
        cells: list[tuple[str, str | None, str | None, int]] = []
        for number, feature in enumerate(features, start=1):
            said = feature.get("properties") if isinstance(feature, dict) else None
            if not isinstance(said, dict):
                detail = "not a feature with properties"
                rejected.append(Rejected(number, "malformed_row", detail))
                continue
            at = said.get("timestamp")
            if not self._inside(at):
                continue
            station = str(said.get("station") or "").rpartition("/")[2] or self._asked
            for name, quantity in self._chosen(said):
                found = self._cell(station, name, quantity, number)
                if isinstance(found, Rejected):
                    rejected.append(found)
                else:
                    time = None if at is None else str(at)
                    cells.append((local_key(station, name), time, found, number))
        keys, times, values, numbers = zip(*cells, strict=True) if cells else [()] * 4
        return RawRows(
            series=pa.array(keys, pa.string()),
            ts=pa.array(times, pa.string()),
            value=pa.array(values, pa.string()),
            row_no=pa.array(numbers, pa.int64()),
            rejected=tuple(rejected),
        )

    def _chosen(self, said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        wanted = self._quantities or said.keys() - _OF_THE_PLACE
        for name, quantity in said.items():
            if name in wanted and isinstance(quantity, dict) and "value" in quantity:
                yield name, quantity

    def _inside(self, at: Any) -> bool:
        """Return whether a time lies in the window; what cannot be read stays in."""
        start, end = self._partition.start, self._partition.end
        try:
            instant = utc(str(at))
        except ValueError:
            return True
        return (start is None or instant >= start) and (end is None or instant < end)

    def _cell(
        self, station: str, name: str, quantity: Mapping[str, Any], number: int
    ) -> str | Rejected | None:
        unit = str(quantity.get("unitCode") or "").rpartition(":")[2] or None
        key = local_key(station, name)
        value = quantity["value"]
        if value is None:
            return None
        known = self.series.setdefault(key, SeriesMeta(key, name, unit))
        if known.unit != unit:
            detail = f"{key} comes in {known.unit} and in {unit}"
            self.drift = Verdict("schema_drift", detail)
        text = value if isinstance(value, str) else json.dumps(value)
        mark = quantity.get("qualityControl")
        if isinstance(mark, str) and mark in _FAILED:
            detail = f"{name} {text} is marked {mark}: it failed a check"
            return Rejected(number, "flagged", detail)
        return text


def _quantity(unit: str, value: float | None, mark: str) -> dict[str, Any]:
    return {"unitCode": f"wmoUnit:{unit}", "value": value, "qualityControl": mark}


def _patient(verdict: Verdict) -> Verdict:
    """Wait the five seconds after which the service asks to be tried again."""
    if verdict.cls in {"transient", "rate_limited"} and verdict.wait_s is None:
        return replace(verdict, wait_s=_WAIT_S)
    return verdict
