"""NOAA climate data online, version 2: superseded by the access service, still asked.

Days are days of the station's own standard time, stored at midnight UTC of the date.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from ingest.batch import Rejected
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
    local_key,
)
from ingest.exchange import Answer, Request, secret
from ingest.layout import UploadLayout
from ingest.noaa_answers import MISSING, document_of
from ingest.parse import parse
from ingest.records import raw_records
from ingest.refusals import refused
from ingest.verdicts import OK, Verdict, drift

_LIMIT = 1_000
_LAYOUT = UploadLayout("ndjson", timezone="UTC", missing=MISSING)
_QUALITY = 1
"""Place of the quality flag among the attributes."""

_REQUIRED = frozenset({"date", "station", "datatype", "value"})
_KNOWN = frozenset({"attributes"})
_NOTHING = Verdict("empty", "no rows are declared")


class CdoConfig(Config):
    """Some data types of some stations."""

    base_url: str = Field(
        default="https://www.ncdc.noaa.gov/cdo-web/api/v2/data",
        description="Where rows are asked for.",
    )
    dataset: str = Field(
        default="GHCND", pattern=r"^[A-Z0-9_]+$", description="The data set."
    )
    stations: tuple[str, ...] = Field(
        min_length=1,
        max_length=50,
        description="Identifiers of stations, such as GHCND:USW00094728.",
    )
    elements: tuple[str, ...] = Field(
        min_length=1, description="Data types such as TMAX, TMIN and PRCP."
    )


@connector("cdo")
class Cdo:
    """Rows of one value each, a thousand on a page, counted from one."""

    spec: ClassVar[Spec] = Spec(
        title="NOAA Climate Data Online, version 2",
        licence="Public domain, United States Government work; cite NOAA NCEI.",
        limits=Limits(per_second=4.0, burst=4.0, per_day=8_000.0),
        secrets=(SecretField("token", "Token of the web services"),),
        tiers=(Tier("hot", timedelta(days=60), timedelta(days=1)),),
        span=timedelta(days=364),
        lag=timedelta(days=1),
        completeness="declared_total",
        documentation="https://www.ncdc.noaa.gov/cdo-web/webservices/v2",
    )
    config_type: ClassVar[type[Config]] = CdoConfig

    def __init__(self, config: CdoConfig) -> None:
        self.config = config

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut a window into less than years."""
        return cut(start, end, span=timedelta(days=364), group=self.config.dataset)

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask for the first page.

        Raises:
            ValueError: the partition is open; the source needs both ends.
        """
        if partition.start is None or partition.end is None:
            message = "climate data online answers for bounded windows only"
            raise ValueError(message)
        return (self._page(partition.start, partition.end, 1),)

    def _page(self, start: datetime, end: datetime, offset: int) -> Request:
        config = self.config
        last = end - timedelta(microseconds=1)
        params = (
            ("datasetid", config.dataset),
            *(("stationid", station) for station in config.stations),
            *(("datatypeid", element) for element in config.elements),
            ("startdate", f"{start:%Y-%m-%d}"),
            ("enddate", f"{last:%Y-%m-%d}"),
            ("units", "metric"),
            ("limit", str(_LIMIT)),
            ("offset", str(offset)),
        )
        place = {"offset": offset}
        return Request(
            config.base_url, params, headers={"token": secret("token")}, place=place
        )

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Say what a page of results, nothing, or an error means."""
        document = document_of(answer)
        if isinstance(document, Verdict):
            return Page(document)
        if document == {}:
            return Page(Verdict("empty", "the answer is an empty object"))
        try:
            total = int(document["metadata"]["resultset"]["count"])
            results = document["results"] if total else document.get("results")
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            drifted = Verdict("schema_drift", "no results with their count")
            return Page(refused(document) or drifted)
        if not isinstance(results, list) or not results:
            detail = f"no results, though {total} declared"
            return Page(Verdict("incomplete", detail) if total else _NOTHING)
        names = sorted({n for row in results if isinstance(row, dict) for n in row})
        news, broken = drift(names, required=_REQUIRED, known=_KNOWN)
        if broken is not None:
            return Page(broken, drift=news)
        follow: tuple[Request, ...] = ()
        first = int(request.place.get("offset", 1))
        offset = first + len(results)
        if offset <= total and partition.start and partition.end:
            follow = (self._page(partition.start, partition.end, offset),)
        numbers = range(first, offset)
        records = [_record(row, n) for row, n in zip(results, numbers, strict=True)]
        raw = raw_records(records, layout=_LAYOUT, numbers=numbers)
        batches = parse([raw], layout=_LAYOUT)
        return Page(OK, batches, follow=follow, total=total, drift=news)

    def discover(self) -> Request | None:
        """Return None: stations are found on maps."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Return no series; see ``discover``."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return two rows, of which one failed a check."""
        start = datetime(2026, 1, 2, tzinfo=UTC)
        end = start + timedelta(days=1)
        config = CdoConfig(stations=("GHCND:USW00094728",), elements=("TMAX", "TMIN"))
        row = {"date": "2026-01-02T00:00:00", "station": "GHCND:USW00094728"}
        results = [
            {**row, "datatype": "TMAX", "attributes": ",,W,2400", "value": 4.4},
            {**row, "datatype": "TMIN", "attributes": ",I,W,2400", "value": 99.9},
        ]
        resultset = {"offset": 1, "count": 2, "limit": _LIMIT}
        said = {"metadata": {"resultset": resultset}, "results": results}
        answer = Answer(
            200, {"content-type": "application/json"}, end, json.dumps(said).encode()
        )
        return Example(config, Partition("example", start, end), (answer,))


def _record(row: Any, number: int) -> Any:
    """Return a result as a row; one that failed the archive's checks is refused."""
    if not isinstance(row, dict):
        return row
    flags = str(row.get("attributes") or "").split(",")
    if len(flags) > _QUALITY and flags[_QUALITY].strip():
        detail = f"{row.get('datatype')} {row.get('value')} failed check {flags[1]!r}"
        return Rejected(number, "flagged", detail)
    if not (row.get("station") and row.get("datatype")):
        return Rejected(number, "bad_key", "no station, or no kind of value")
    key = local_key(row["station"], row["datatype"])
    return {"series": key, "ts": row.get("date"), "value": row.get("value")}
