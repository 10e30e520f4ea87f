"""A table of a web page, read under our own name and only where robots.txt allows."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import Field, model_validator

from ingest.batch import Batch, Rejected
from ingest.cells import Cells
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
from ingest.html_tables import Grid, Row, chosen, grids, plain_text
from ingest.packed import unpacked
from ingest.table_cells import batches
from ingest.table_layout import TableLayout
from ingest.verdicts import OK, Verdict, general, markup

AGENT = "forebay"
MARKS = (
    *("NA", "N/A", "N.A.", "n/a", "n.a.", "na", "-", "--"),
    *("\u2013", "\u2014", "\u2212", ".."),
)
"""What tables write where they have no value."""

_PER_SECOND = 0.1
_LARGEST_ROBOTS = 500 << 10  # bytes; more need not be read (RFC 9309, 2.5)
_PAGES = ("text/html", "application/xhtml+xml", "")
_FORBIDDEN = (401, 403)
_NO_CONTENT = 204


class WebTableConfig(Config):
    """A page, which of its tables is meant, and what the columns are."""

    base_url: str = Field(
        pattern=r"^https?://[^\s#]+$", description="The address of the page."
    )
    contact: str = Field(
        min_length=5,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="An address at which the site can reach you; it is sent along.",
    )
    caption: str | None = Field(
        default=None,
        description="Text in the table's caption or in the heading before it.",
    )
    layout: TableLayout = Field(
        description="The columns, by the texts of their headers as the page shows them."
    )
    fingerprint: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{16}$",
        description="Of the header as it was; any change of the header then stops the "
        "source, also one of columns that are not read.",
    )

    @model_validator(mode="after")
    def _distinct_headers(self) -> Self:
        names = [plain_text(name) for name in self.layout.columns]
        if len(set(names)) < len(names):
            message = "two columns have the same header"
            raise ValueError(message)
        return self


@connector("web_table")
class WebTable:
    """The page as it is now; what it no longer shows is not taken for withdrawn."""

    spec: ClassVar[Spec] = Spec(
        title="Web table (HTML)",
        licence="That of the site: its terms have to allow automated reading.",
        # One page in ten seconds; a longer delay of robots.txt is in Request.cost.
        limits=Limits(per_second=_PER_SECOND, burst=1.0),
        tiers=(Tier("hot", timedelta(days=10), timedelta(days=1)),),
        span=None,
    )
    config_type: ClassVar[type[Config]] = WebTableConfig

    def __init__(self, config: WebTableConfig) -> None:
        self._config = config
        layout = config.layout
        missing = (*layout.missing, *MARKS)
        self._layout = layout.model_copy(update={"missing": missing})

    @property
    def asks_window(self) -> bool:
        """A page is what it is at the time."""
        return False

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Return one partition: a page is what it is at the time."""
        return cut(start, end, span=None)

    def requests(self, partition: Partition) -> tuple[Request, ...]:  # noqa: ARG002
        """Ask for the rules of the site before anything else."""
        parts = urlsplit(self._config.base_url)
        url = f"{parts.scheme}://{parts.netloc}/robots.txt"
        return (Request(url, headers=self._headers, place={"what": "robots"}),)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Read the rules, or the page."""
        if request.place.get("what") == "robots":
            return self._rules(answer, partition)
        answer = unpacked(answer)
        grid = general(answer) or self._chosen(answer)
        if isinstance(grid, Verdict):
            return Page(grid)
        if not grid.rows:
            return Page(Verdict("empty", "a table without rows"))
        verdict = replace(OK, detail=f"the header is {grid.fingerprint}")
        return Page(verdict, self._batches(grid, answer.fetched_at))

    def discover(self) -> Request | None:
        """Nothing lists what a page holds."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return rules, and a page with a value, a missing one, and a note for one."""
        rows = (("1.5", "2026-01-09"), ("NA", "2026-01-10"), ("closed", "2026-01-11"))
        lines = "".join(f"<tr><td>{day}</td><td>{v}</td></tr>" for v, day in rows)
        page = (
            "<!DOCTYPE html><html><body><table><caption>Henry Hub</caption>"
            f"<tr><th>Date</th><th>USD</th></tr>{lines}</table></body></html>"
        )
        layout = TableLayout(
            ts_column="Date",
            value_columns=("USD",),
            series_key="henry-hub",
            timezone="UTC",
        )
        at = datetime(2026, 1, 12, tzinfo=UTC)
        config = WebTableConfig(
            base_url="https://prices.example.org/spot.html",
            contact="data@example.org",
            layout=layout,
        )
        robots = b"User-agent: *\nDisallow: /private/\n"
        return Example(
            config,
            Partition("page"),
            (
                Answer(200, {"content-type": "text/plain"}, at, robots),
                Answer(200, {"content-type": "text/html"}, at, page.encode()),
            ),
        )

    @property
    def _headers(self) -> Mapping[str, str]:
        return {"User-Agent": f"{AGENT} (+{self._config.contact})"}

    def _chosen(self, answer: Answer) -> Grid | Verdict:
        """Return the table that is meant, if its header is what it was."""
        if answer.media_type not in _PAGES:
            return Verdict("schema_drift", f"no page: {answer.media_type}")
        found, config = grids(answer), self._config
        if isinstance(found, Verdict):
            return found
        columns = config.layout.columns
        grid = chosen(found, caption=config.caption, columns=columns)
        if isinstance(grid, Verdict):
            return _instead(answer) or grid
        if isinstance(grid, Verdict) or config.fingerprint is None:
            return grid
        if config.fingerprint != grid.fingerprint:
            there = ", ".join(grid.headers)
            detail = f"the header is now {grid.fingerprint}: {there}"[:1_000]
            return Verdict("schema_drift", detail)
        return grid

    def _rules(self, answer: Answer, partition: Partition) -> Page:
        """Follow robots.txt: without one all is allowed, without an answer nothing."""
        from protego import Protego  # noqa: PLC0415 - few sources are pages

        gone = 400 <= answer.status < 500 and answer.status not in (408, 429)  # noqa: PLR2004
        if answer.status in _FORBIDDEN:
            return Page(Verdict("config", "the site keeps its robots.txt to itself"))
        gone = gone or answer.status == _NO_CONTENT
        if not gone and (bad := general(answer) or markup(answer)) is not None:
            return Page(bad)
        text = "" if gone else answer.body[:_LARGEST_ROBOTS].decode(errors="replace")
        rules = Protego.parse(text)
        if not rules.can_fetch(self._config.base_url, AGENT):
            return Page(Verdict("config", "robots.txt does not allow this page"))
        delay_s = float(rules.crawl_delay(AGENT) or 0.0)
        if (rate := rules.request_rate(AGENT)) is not None and rate.requests:
            delay_s = max(delay_s, rate.seconds / rate.requests)
        verdict = Verdict(
            "metadata", f"robots.txt asks for {delay_s:g} s between pages"
        )
        return Page(verdict, follow=(self._page(partition, delay_s),))

    def conditional(self, partition: Partition) -> Request | None:
        """Return the request of the page."""
        return self._page(partition, 0.0)

    def _page(self, partition: Partition, delay_s: float) -> Request:
        known = {"etag": "If-None-Match", "last_modified": "If-Modified-Since"}
        conditions = {
            header: str(partition.part[name])
            for name, header in known.items()
            if partition.part.get(name)
        }
        return Request(
            self._config.base_url,
            headers={**self._headers, **conditions},
            cost=max(1.0, delay_s * _PER_SECOND),
            place={"what": "page"},
        )

    def _batches(self, grid: Grid, moment: datetime) -> Iterator[Batch]:
        width = len(grid.headers)
        whole = [row for row in grid.rows if len(row.cells) == width and not row.note]
        # One cell across the whole table is a remark; a row of another width is none.
        rejected = tuple(
            _of_width(row, width)
            for row in grid.rows
            if len(row.cells) != width and not row.note
        )
        columns = {
            name: pa.array([row.cells[at] for row in whole], pa.string())
            for name in self._layout.columns
            for at in (grid.headers.index(plain_text(name)),)
        }
        numbers = pa.array([row.number for row in whole], pa.int64())
        cells = Cells(columns, numbers, rejected)
        yield from batches([cells], layout=self._layout, moment=moment)


def _instead(answer: Answer) -> Verdict | None:
    """Return what a page without the table is, if it is not another page altogether."""
    page, lowered = markup(answer), answer.body.lower()
    if page is not None and page.cls == "auth":
        return page
    if b"<html" in lowered and b"</html" not in lowered:
        return Verdict("transient", "the page is cut off")
    return None


def _of_width(row: Row, width: int) -> Rejected:
    detail = f"{len(row.cells)} cells where the header has {width}"
    return Rejected(row.number, "malformed_row", detail)
