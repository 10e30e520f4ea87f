"""India's open data platform: tables of any columns, numbers as texts, no order."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from ingest.batch import INSTANT, Batch
from ingest.columns import RawRows
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
from ingest.indian_texts import day_first, period, plain, ungrouped
from ingest.layout import UploadLayout
from ingest.parse import parse
from ingest.records import raw_records
from ingest.sayings import said
from ingest.verdicts import OK, Verdict, decoded, drift, general, markup

_MILLISECONDS = 100_000_000_000
"""Some stamps of the platform are in milliseconds: no second is numbered so high."""

_LAST_S = 253_402_300_799


class DataGovInConfig(Config):
    """A resource, and which of its columns are what."""

    base_url: str = Field(
        default="https://api.data.gov.in",
        description="Where the resource is asked for.",
    )
    resource: str = Field(
        pattern=r"^[A-Za-z0-9-]{1,64}$", description="Its id, a UUID, from its page."
    )
    dimensions: tuple[str, ...] = Field(
        default=(), description="Columns that together name a series."
    )
    value: str = Field(description="The column of values.")
    date: str | None = Field(default=None, description="The column of dates.")
    day_first: bool = Field(
        default=True, description="Whether dates that are not ISO begin with the day."
    )
    year: str | None = Field(
        default=None, description="The column of years, also fiscal such as 2023-24."
    )
    month: str | None = Field(
        default=None, description="The column of months, as names or numbers."
    )
    timezone: str = Field(
        default="UTC", description="Where a day begins; UTC keeps dates as they stand."
    )
    frequency: Literal["P1D", "P1M", "P1Y"] | None = Field(
        default=None, description="How far the times are apart."
    )
    unit: str | None = Field(default=None, description="Of the values.")
    filters: Mapping[str, str] = Field(
        default_factory=dict, description="What columns have to hold, by their name."
    )
    left_out: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Rows to leave out: texts by column, such as Total by month.",
    )
    missing: tuple[str, ...] = Field(
        default=(
            *("NA", "N.A.", "N/A", "na", "n.a.", "n/a", "#N/A"),
            *("NR", "-", "--", ".."),
        ),
        description="Texts for no value.",
    )
    page_size: int = Field(
        default=1_000, ge=1, le=10_000, description="Rows of a request."
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            message = f"{name!r} is not a time zone"
            raise ValueError(message) from error
        return name

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if (self.date is None) == (self.year is None and self.month is None):
            message = "name the column of dates, or those of years and months"
            raise ValueError(message)
        return self

    @property
    def required(self) -> frozenset[str]:
        """The columns without which nothing can be read."""
        named = (*self.dimensions, self.value, self.date, self.year, self.month)
        return frozenset(name for name in named if name is not None)


@connector("data_gov_in")
class DataGovIn:
    """A whole table each time: it is small, and its order says nothing."""

    spec: ClassVar[Spec] = Spec(
        title="data.gov.in (Open Government Data platform India)",
        licence="Government Open Data License - India (GODL); name the source.",
        limits=Limits(per_second=1.0, burst=2.0),
        secrets=(SecretField("api_key", "API key of data.gov.in"),),
        tiers=(Tier("hot", timedelta(days=365), timedelta(days=1)),),
        span=None,
        completeness="declared_total",
        publication="published",
        documentation="https://www.data.gov.in/help",
    )
    config_type: ClassVar[type[Config]] = DataGovInConfig

    def __init__(self, config: DataGovInConfig) -> None:
        self._config = config

    @property
    def asks_window(self) -> bool:
        """A table cannot be asked for by time."""
        return False

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Return one partition: a table cannot be asked for by time."""
        return cut(start, end, span=None)

    def requests(self, partition: Partition) -> tuple[Request, ...]:  # noqa: ARG002
        """Ask for the first rows."""
        return (self._request(0),)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:  # noqa: ARG002
        """Read rows, and ask for the next while there are more."""
        found = _envelope(answer)
        if isinstance(found, Verdict):
            return Page(found)
        records, total = found["records"], _whole(found.get("total"))
        if total is None:
            return Page(Verdict("schema_drift", "the table does not say its total"))
        offset = _whole(found.get("offset"))
        offset = int(request.place.get("offset", 0)) if offset is None else offset
        if not records:
            return Page(_nothing(offset, total), total=total)
        changes, gone = drift(
            list(_columns(found)),
            required=self._config.required,
            known=_columns(found),
        )
        if gone is not None:
            return Page(gone, drift=changes)
        after = offset + len(records)
        kept = not self._config.left_out
        rows = list(self._rows(records, offset))
        return Page(
            OK,
            _batches(rows, _updated(found), self._layout),
            follow=(self._request(after),) if after < total else (),
            series=tuple(self._series(rows)),
            total=total if kept else None,
            complete=offset == 0 and after >= total and kept,
        )

    def discover(self) -> Request | None:
        """The platform's catalogue is for people."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return a table with a value, a missing one, and one that is no number."""
        texts = ("1.51", "NA", "see note")
        rows = [
            {"year": "2023", "month": month, "company": "ONGC", "quantity": text}
            for month, text in zip(("April", "May", "June"), texts, strict=True)
        ]
        table = {
            "status": "ok",
            "updated": 1_772_527_039,
            "total": 3,
            "offset": "0",
            "records": rows,
        }
        config = DataGovInConfig(
            resource="7932c3ed-c88d-4e0c-bc39-17e3e3170483",
            dimensions=("company",),
            value="quantity",
            year="year",
            month="month",
        )
        fetched_at = datetime(2026, 3, 4, tzinfo=UTC)
        headers = {"content-type": "application/json"}
        answer = Answer(200, headers, fetched_at, json.dumps(table).encode())
        return Example(config, Partition("table"), (answer,))

    @property
    def _layout(self) -> UploadLayout:
        config = self._config
        return UploadLayout(
            "ndjson", timezone=config.timezone, missing=(*config.missing, "")
        )

    def _request(self, offset: int) -> Request:
        config = self._config
        filters = sorted(config.filters.items())
        return Request(
            f"{config.base_url}/resource/{config.resource}",
            (
                ("api-key", secret("api_key")),
                ("format", "json"),
                ("offset", str(offset)),
                ("limit", str(config.page_size)),
                *((f"filters[{name}]", text) for name, text in filters),
            ),
            place={"offset": offset},
        )

    def _rows(self, records: list[Any], offset: int) -> Iterator[tuple[int, Any]]:
        """Yield what of the records is read; a record that is no object stays one."""
        for number, record in enumerate(records, offset + 1):
            if not isinstance(record, dict):
                yield number, record
            elif not self._is_left_out(record):
                yield number, self._row(record)

    def _is_left_out(self, record: Mapping[str, Any]) -> bool:
        rules = self._config.left_out.items()
        return any(plain(record.get(name)) in texts for name, texts in rules)

    def _row(self, record: Mapping[str, Any]) -> Mapping[str, str]:
        config = self._config
        names = [plain(record.get(name)) for name in config.dimensions]
        whole = all(names)  # a key of fewer parts would be that of another series
        return {
            "series": local_key(*(names or [config.value])) if whole else "",
            "ts": self._time(record),
            "value": ungrouped(plain(record.get(config.value))),
            "title": " / ".join(names) or config.value,
        }

    def _time(self, record: Mapping[str, Any]) -> str:
        config = self._config
        if config.date is not None:
            text = plain(record.get(config.date))
            return day_first(text) if config.day_first else text
        year = "" if config.year is None else plain(record.get(config.year))
        month = None if config.month is None else plain(record.get(config.month))
        return period(year, month) or f"{month or ''} {year}".strip()

    def _series(self, rows: list[tuple[int, Any]]) -> Iterator[SeriesMeta]:
        config = self._config
        titles = {
            row["series"]: row["title"] for _, row in rows if isinstance(row, dict)
        }
        for key, title in titles.items():
            if key:
                zone = config.timezone
                yield SeriesMeta(key, title, config.unit, config.frequency, zone)


def _envelope(answer: Answer) -> Mapping[str, Any] | Verdict:
    """Return the table of an answer, or what is wrong with it."""
    found = decoded(answer) if answer.whole else None
    told = _told(found)
    if any(word in told.lower() for word in ("authori", "api key", "api-key")):
        return Verdict("auth", told)
    if (verdict := general(answer)) is not None:
        return replace(verdict, detail=told or verdict.detail)
    if isinstance(found, Verdict):
        return markup(answer) or found
    return _table(found, told)


def _table(found: Any, told: str) -> Mapping[str, Any] | Verdict:
    if not isinstance(found, dict):
        return Verdict("malformed", "the answer is no object")
    if found.get("status") == "error" or (told and "records" not in found):
        return Verdict(said(told) or "config", told)
    if not isinstance(found.get("records"), list):
        there = ", ".join(sorted(found)[:20])
        return Verdict("schema_drift", f"records are missing; there is: {there}")
    return found


def _told(found: Any) -> str:
    """Return the error that an envelope tells of, or ""."""
    if not isinstance(found, dict) or found.get("status") == "ok":
        return ""
    told = found.get("error") or found.get("message")
    if isinstance(told, dict):
        told = told.get("message") or told
    return plain(told)[:300]


def _nothing(offset: int, total: int) -> Verdict:
    if offset >= total:
        return Verdict("empty", f"there is nothing behind row {total}")
    return Verdict("incomplete", f"{total} rows are declared, none came from {offset}")


def _columns(found: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the columns, declared or there."""
    fields = found.get("field")
    declared = fields if isinstance(fields, list) else []
    names = {plain(one.get("id")) for one in declared if isinstance(one, dict)}
    for record in found["records"][:100]:
        names.update(record if isinstance(record, dict) else ())
    return frozenset(names)


def _whole(cell: Any) -> int | None:
    text = plain(cell)
    return int(text) if text.isdecimal() and len(text) < 15 else None  # noqa: PLR2004


def _updated(found: Mapping[str, Any]) -> datetime | None:
    """Return when the table was last changed; it is all that is said of its rows."""
    stamp = _whole(found.get("updated"))
    if stamp is None:
        return None
    seconds = stamp / 1_000 if stamp >= _MILLISECONDS else stamp
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds <= _LAST_S else None


def _batches(
    rows: list[tuple[int, Any]], updated: datetime | None, layout: UploadLayout
) -> Iterator[Batch]:
    numbers = [number for number, _ in rows]
    raw = raw_records([row for _, row in rows], layout=layout, numbers=numbers)
    yield from parse([_published(raw, updated)], layout=layout)


def _published(raw: RawRows, updated: datetime | None) -> RawRows:
    if updated is None:
        return raw
    known = pa.repeat(pa.scalar(updated, INSTANT), len(raw.ts))
    return replace(raw, published_at=known)
