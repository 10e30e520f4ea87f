"""Grid-India's daily reports, as workbooks or CSV that someone drops into a folder."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from ingest.batch import Batch
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
)
from ingest.exchange import Answer, Request
from ingest.file_tables import Pattern
from ingest.folder_steps import SFTP_SECRETS, FolderConfig
from ingest.grid_india_sheets import Figure, figures
from ingest.layout import UploadLayout
from ingest.object_files import (
    Stamped,
    belongs,
    day_of,
    passed_over,
    published_at,
)
from ingest.parse import parse
from ingest.records import raw_records
from ingest.verdicts import OK, Verdict

ZONE = "Asia/Kolkata"
_LAYOUT = UploadLayout("ndjson", timezone=ZONE, missing=("-", "NA", "N/A"))
_SPAN = timedelta(days=31)


class GridIndiaPspConfig(FolderConfig):
    """A folder of reports, and how their days and energies are to be understood."""

    pattern: Pattern = Field(
        default="%d.%m.%y_NLDC_PSP*",
        description="Names of reports with their date; * stands for anything.",
    )
    days_before: int = Field(
        default=0,
        ge=0,
        le=2,
        description="How many days before the date in the name the figures are of.",
    )
    energy: Literal["mu", "mean_mw"] = Field(
        default="mu",
        description="Whether energies of a day stay million units (GWh), or become "
        "the mean power of the day in MW.",
    )


@connector("grid_india_psp")
class GridIndiaPsp:
    """Figures of regions by the day of India; rows are found by their labels."""

    spec: ClassVar[Spec] = Spec(
        title="Grid-India daily PSP report (dropped files)",
        licence="Grid Controller of India; published for information, name the source.",
        limits=Limits(per_second=5.0, burst=5.0),
        secrets=SFTP_SECRETS,
        tiers=(Tier("hot", timedelta(days=10), timedelta(days=1)),),
        span=_SPAN,
        publication="published",
        documentation="https://grid-india.in/en/reports/daily-psp-report",
    )
    config_type: ClassVar[type[Config]] = GridIndiaPspConfig

    def __init__(self, config: GridIndiaPspConfig) -> None:
        self._config = config
        mine = partial(belongs, pattern=config.pattern, zone=ZONE)
        self._folder = config.folder(mine)

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window into months of 31 days; a report is of the day it names."""
        return cut(start, end, span=_SPAN)

    def requests(self, partition: Partition) -> tuple[Request, ...]:  # noqa: ARG002
        """Ask for the list of files."""
        return (self._folder.listing,)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Read the list, a checksum, or a report."""
        page = self._folder.guarded(request, answer, partition)
        return page or self._report(request, answer)

    def discover(self) -> Request | None:
        """Nothing lists the figures of reports."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return a listing and a report with a figure that is none."""
        body = (
            b"A. Power Supply Position at All India and Regional level\n"
            b",NR,WR,SR,ER,NER,TOTAL\n"
            b"Energy Met (MU),1090,1420,1105,520,47,4182\n"
            b"Wind Gen (MU),12,78,61,-,-,see note\n"
        )
        at = datetime(2026, 1, 10, 6, tzinfo=UTC)
        name = "09.01.26_NLDC_PSP.csv"
        written = "2026-01-10T05:00:00+00:00"
        files = [{"name": name, "size": len(body), "mtime": written}]
        config = GridIndiaPspConfig(base_url="file:///drop/")
        partition = Partition(
            "20260108T0000Z-20260110T0000Z",
            datetime(2026, 1, 8, tzinfo=UTC),
            datetime(2026, 1, 10, tzinfo=UTC),
        )
        listing = json.dumps({"files": files}).encode()
        return Example(
            config,
            partition,
            (
                Answer(200, {"content-type": "application/json"}, at, listing),
                Answer(200, {"content-type": "text/csv"}, at, body),
            ),
        )

    def _report(self, request: Request, answer: Answer) -> Page:
        config, name = self._config, str(request.place.get("name", request.url))
        day = day_of(name, config.pattern, ZONE)
        if day is None:
            detail = f"{name} names no day"
            return passed_over(Verdict("malformed", detail))
        ts = day - timedelta(days=config.days_before)
        page = report_page(answer, ts=ts, mean_mw=config.energy == "mean_mw")
        if page.verdict.cls == "malformed":
            return passed_over(page.verdict)
        stamped = Stamped(page.batches, published_at(request, answer))
        return Page(page.verdict, stamped, series=page.series)


def report_page(answer: Answer, *, ts: datetime, mean_mw: bool) -> Page:
    """Return what a report means.

    Args:
        answer: the workbook, or a sheet of it as CSV.
        ts: when the day of its figures began, aware, in UTC.
        mean_mw: whether energies become the mean power of the day.
    """
    found = figures(answer, mean_mw=mean_mw)
    if isinstance(found, Verdict):
        return Page(found)
    return Page(OK, _batches(found, ts), series=tuple(_series(found)))


def _batches(found: list[Figure], ts: datetime) -> Iterator[Batch]:
    records = [
        {"series": one.key, "ts": ts.isoformat(), "value": one.text} for one in found
    ]
    numbers = [one.row for one in found]
    raw = raw_records(records, layout=_LAYOUT, numbers=numbers)
    yield from parse([raw], layout=_LAYOUT)


def _series(found: list[Figure]) -> Iterator[SeriesMeta]:
    for one in found:
        yield SeriesMeta(one.key, one.title, one.unit, "P1D", ZONE)
