"""NOAA's climate archive: daily, monthly and hourly summaries of stations.

Days are days of the station's own standard time and carry no zone: they are kept as
dates, stored at midnight UTC of the date. Months are stored at their first day. Hours
are instants in UTC.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar, Literal

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
from ingest.noaa_answers import MISSING, document_of
from ingest.parse import parse
from ingest.refusals import refused
from ingest.verdicts import OK, Verdict, drift, utc

_STATIONS_AT_ONCE = 25
_PIECE = 5_000
_LAYOUT = UploadLayout(
    "ndjson", ts_column="DATE", value_column="value", timezone="UTC", missing=MISSING
)
_UNITS = {
    **dict.fromkeys(("TMAX", "TMIN", "TAVG", "TOBS", "TMP", "DEW"), "degC"),
    **dict.fromkeys(("PRCP", "SNOW", "SNWD"), "mm"),
    **dict.fromkeys(("AWND", "WSF2", "WSF5", "WND"), "m/s"),
    "SLP": "hPa",
}
_BESIDE = frozenset(
    {"NAME", "LATITUDE", "LONGITUDE", "ELEVATION", "SOURCE", "REPORT_TYPE",
     "CALL_SIGN", "QUALITY_CONTROL"}
)  # fmt: skip


@dataclass(frozen=True)
class _Packed:
    """Where a hourly element holds its value: tenths, with a flag of quality."""

    value: int
    flag: int
    missing: str


_HOURLY: Mapping[str, _Packed] = {
    "TMP": _Packed(0, 1, "9999"),
    "DEW": _Packed(0, 1, "9999"),
    "SLP": _Packed(0, 1, "99999"),
    "WND": _Packed(3, 4, "9999"),
}
_ERRONEOUS = {"3", "7"}


class NceiConfig(Config):
    """Some elements of some stations."""

    base_url: str = Field(
        default="https://www.ncei.noaa.gov/access/services/data/v1",
        description="Where rows are asked for.",
    )
    dataset: Literal[
        "daily-summaries", "global-summary-of-the-month", "global-hourly"
    ] = Field(default="daily-summaries", description="The data set.")
    stations: tuple[str, ...] = Field(
        min_length=1,
        max_length=1_000,
        description="Identifiers of stations, such as USW00094728.",
    )
    elements: tuple[str, ...] = Field(
        min_length=1,
        description=(
            "Elements such as TMAX, TMIN and PRCP; of global-hourly TMP, DEW, SLP and "
            "WND, the speed of the wind."
        ),
    )


@connector("ncei")
class Ncei:
    """Rows of the access data service, metric, a request for some stations."""

    spec: ClassVar[Spec] = Spec(
        title="NOAA NCEI access data service",
        licence="Public domain, United States Government work; cite NOAA NCEI.",
        limits=Limits(per_second=2.0, burst=4.0),
        tiers=(Tier("hot", timedelta(days=60), timedelta(days=1)),),
        span=timedelta(days=366),
        lag=timedelta(days=1),
        documentation=(
            "https://www.ncei.noaa.gov/support/access-data-service-api-user-documentation"
        ),
    )
    config_type: ClassVar[type[Config]] = NceiConfig

    def __init__(self, config: NceiConfig) -> None:
        self.config = config

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut a window into years; hours, of which there are more, into quarters."""
        hourly = self.config.dataset == "global-hourly"
        span = timedelta(days=92) if hourly else timedelta(days=366)
        return cut(start, end, span=span, group=self.config.dataset)

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Return a request for each group of stations.

        Raises:
            ValueError: the partition is open; the source needs both ends.
        """
        if partition.start is None or partition.end is None:
            message = "the access service answers for bounded windows only"
            raise ValueError(message)
        last = partition.end - timedelta(microseconds=1)
        stations, config = self.config.stations, self.config
        return tuple(
            Request(
                config.base_url,
                (
                    ("dataset", config.dataset),
                    ("stations", ",".join(stations[first : first + _STATIONS_AT_ONCE])),
                    ("startDate", f"{partition.start:%Y-%m-%d}"),
                    ("endDate", f"{last:%Y-%m-%d}"),
                    ("dataTypes", ",".join(config.elements)),
                    ("units", "metric"),
                    ("format", "json"),
                ),
            )
            for first in range(0, len(stations), _STATIONS_AT_ONCE)
        )

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Say what a list of rows, or an error in its place, means."""
        rows = document_of(answer)
        if isinstance(rows, Verdict):
            return Page(rows)
        if not rows:
            return Page(Verdict("empty", "the list is empty"))
        if not isinstance(rows, list):
            drifted = Verdict("schema_drift", "the answer is no list of rows")
            return Page(refused(rows) or drifted)
        elements = dict(request.params).get("dataTypes", "").split(",")
        elements = [each for each in elements if each] or list(self.config.elements)
        records = [row for row in rows if isinstance(row, dict)]
        beside = {f"{each}_ATTRIBUTES" for each in elements}
        names = set().union(*records[:1_000])
        changes, verdict = drift(
            dict.fromkeys(names),
            required=frozenset({"DATE", "STATION"}),
            known=_BESIDE | beside | set(elements),
        )
        if verdict is None and changes and not names & set(elements):
            there = ", ".join(sorted(names)[:50])
            told = f"none of {', '.join(elements)} is there, but {there}"
            verdict = Verdict("schema_drift", told)
        if verdict is not None:
            return Page(verdict, drift=changes)
        reader = _Reader(tuple(elements), self.config.dataset, partition)
        return Page(
            OK,
            parse(reader.raws(rows), layout=_LAYOUT),
            series=tuple(reader.series(records)),
            drift=changes,
        )

    def discover(self) -> Request | None:
        """Return None: stations are found on maps."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Return no series; see ``discover``."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return two days of a station, with a value that is no number."""
        start = datetime(2026, 1, 2, tzinfo=UTC)
        end = start + timedelta(days=2)
        config = NceiConfig(stations=("USW00094728",), elements=("TMAX", "PRCP"))
        body = json.dumps(
            [
                {"DATE": "2026-01-02", "STATION": "USW00094728", "TMAX": "4.4"},
                {"DATE": "2026-01-03", "STATION": "USW00094728", "TMAX": "x"},
            ]
        ).encode()
        answer = Answer(200, {"content-type": "application/json"}, end, body)
        return Example(config, Partition("example", start, end), (answer,))


@dataclass(frozen=True)
class _Reader:
    """Turns records of many elements into rows of one value."""

    elements: tuple[str, ...]
    dataset: str
    partition: Partition

    def series(self, records: list[dict[str, Any]]) -> Iterator[SeriesMeta]:
        """Describe the series that the records hold."""
        steps = {"global-hourly": None, "daily-summaries": "P1D"}
        named = [row for row in records if row.get("STATION")]
        for element in self.elements:
            for key in dict.fromkeys(self._key(row, element) for row in named):
                yield SeriesMeta(
                    key,
                    unit=_UNITS.get(element),
                    frequency=steps.get(self.dataset, "P1M"),
                )

    def _key(self, row: Mapping[str, Any], element: str) -> str:
        """Name a series; reports of other kinds at the same hour are another one."""
        return _named(str(row.get("STATION") or ""), element, row.get("REPORT_TYPE"))

    def raws(self, rows: list[Any]) -> Iterator[RawRows]:
        """Yield the rows in pieces; an absent element is a missing value."""
        for first in range(0, len(rows), _PIECE):
            numbered = enumerate(rows[first : first + _PIECE], start=first + 1)
            yield self._piece(list(numbered))

    def _piece(self, numbered: list[tuple[int, Any]]) -> RawRows:
        rejected: list[Rejected] = []
        cells: list[tuple[str, str, str | None, int]] = []
        for number, row in numbered:
            if not isinstance(row, dict):
                rejected.append(Rejected(number, "malformed_row", "not a JSON object"))
                continue
            at = _date(row.get("DATE"))
            if not self._inside(at):
                continue
            if not row.get("STATION"):
                rejected.append(Rejected(number, "bad_key", "the row has no STATION"))
                continue
            for element in self.elements:
                found = self._value(row, element, number)
                if isinstance(found, Rejected):
                    rejected.append(found)
                else:
                    cells.append((self._key(row, element), at, found, number))
        keys, times, values, numbers = zip(*cells, strict=True) if cells else [()] * 4
        return RawRows(
            series=pa.array(keys, pa.string()),
            ts=pa.array(times, pa.string()),
            value=pa.array(values, pa.string()),
            row_no=pa.array(numbers, pa.int64()),
            rejected=tuple(rejected),
        )

    def _inside(self, at: str) -> bool:
        """Return whether a time lies in the window; what cannot be read stays in."""
        start, end = self.partition.start, self.partition.end
        try:
            instant = utc(at)
        except ValueError:
            return True
        return (start is None or instant >= start) and (end is None or instant < end)

    def _value(
        self, row: Mapping[str, Any], element: str, number: int
    ) -> str | Rejected | None:
        cell = row.get(element)
        text = None if cell is None else str(cell).strip()
        if not text:
            return None
        if self.dataset == "global-hourly":
            return _hourly(element, text, number)
        flag = _quality(row.get(f"{element}_ATTRIBUTES"), self.dataset)
        if flag:
            detail = f"{element} {text!r} failed the archive's check {flag!r}"
            return Rejected(number, "flagged", detail)
        return text


def _quality(cell: Any, dataset: str) -> str:
    """Return the flag of a failed check, or nothing.

    A day's attributes are measurement, quality, source and hour. A month's begin with
    how many days are missing, and those of means have no flag of quality at all.
    """
    flags = [flag.strip() for flag in str(cell or "").split(",")]
    at, fewest = (1, 2) if dataset == "daily-summaries" else (2, 4)
    return flags[at] if len(flags) >= fewest else ""


_named = lru_cache(maxsize=1 << 14)(local_key)


def _date(cell: Any) -> str:
    """Return a date as text; of a month its first day."""
    text = "" if cell is None else str(cell)
    months = len("2026-01")
    return f"{text}-01" if len(text) == months else text


def _hourly(element: str, text: str, number: int) -> str | Rejected | None:
    """Unpack a value in tenths, such as ``+0044,1`` for 4.4 of quality 1."""
    packed = _HOURLY.get(element)
    if packed is None:
        return text
    parts = text.split(",")
    if len(parts) <= packed.flag:
        detail = f"{element} {text!r} has {len(parts)} parts"
        return Rejected(number, "bad_value", detail)
    value, flag = parts[packed.value], parts[packed.flag]
    if value.lstrip("+-") == packed.missing:
        return None
    if flag in _ERRONEOUS:
        detail = f"{element} {text!r} is flagged as erroneous"
        return Rejected(number, "flagged", detail)
    sign = "-" if value.startswith("-") else ""
    digits = value.lstrip("+-")
    if not digits.isdecimal():
        return Rejected(number, "bad_value", f"{element} {text!r} holds no number")
    return f"{sign}{digits[:-1] or '0'}.{digits[-1:]}"
