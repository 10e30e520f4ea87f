"""CME settlement files, licensed, from the folder that DataMine delivers into."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from ingest.cme_files import ZONE, CmeName, cme_name, fixml_cells, shapes
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
from ingest.errors import InvalidFile
from ingest.exchange import Answer, Request
from ingest.folder_steps import SFTP_SECRETS, FolderConfig
from ingest.object_files import Entry, Stamped, passed_over, published_at
from ingest.settlement_files import SettlementText
from ingest.settlements import Settlements, Shape
from ingest.table_rows import ends
from ingest.verdicts import OK, Verdict, markup


class CmeSettlementsConfig(FolderConfig):
    """The folder, and how its prices and times are taken."""

    depth: int = Field(
        default=5, ge=1, le=8, description="How many levels of folders to look at."
    )
    exchanges: tuple[str, ...] = Field(
        default=(), description="Such as nymex; all of them if none is named."
    )
    publication: Literal["modified", "schedule", "observed"] = Field(
        default="modified",
        description="Since when prices count as known: since the file was written "
        "(corrections become versions), since the hour that CME publishes it (for "
        "archives that were copied later), or since it was read.",
    )
    cabinet: float | None = Field(
        default=None, description="The price that CAB stands for; none if no price."
    )


@connector("cme_settlements")
class CmeSettlements:
    """Early and final files of a day are two versions of the same prices.

    The time of a price is the first instant of its trade date in Chicago.
    """

    spec: ClassVar[Spec] = Spec(
        title="CME Group settlements (files)",
        licence="Licensed by CME Group (DataMine); redistribution needs their consent.",
        limits=Limits(per_second=2.0, burst=5.0),
        secrets=SFTP_SECRETS,
        tiers=(
            Tier("hot", timedelta(days=7), timedelta(days=1)),
            Tier("warm", timedelta(days=35), timedelta(days=7)),
        ),
        span=timedelta(days=7),
        lag=timedelta(hours=18),
        publication="published",
        enabled=False,
        documentation="https://www.cmegroup.com/datamine.html",
    )
    config_type: ClassVar[type[Config]] = CmeSettlementsConfig

    def __init__(self, config: CmeSettlementsConfig) -> None:
        self._config = config
        self._folder = config.folder(self._is_mine)

    def _is_mine(self, entry: Entry, partition: Partition) -> bool:
        name = cme_name(entry.name)
        wanted = self._config.exchanges
        if name is None or (wanted and name.exchange not in wanted):
            return False
        at = name.midnight or entry.modified
        if at is None:
            return False
        after = partition.start is None or at >= partition.start
        return after and (partition.end is None or at < partition.end)

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window into weeks; a file is of the one of its trade date."""
        return cut(start, end, span=self.spec.span)

    def requests(self, partition: Partition) -> tuple[Request, ...]:  # noqa: ARG002
        """Ask for the list of files."""
        return (self._folder.listing,)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Read the list, a checksum, or a file."""
        page = self._folder.guarded(request, answer, partition)
        return page or self._file(request, answer)

    def _file(self, request: Request, answer: Answer) -> Page:
        full = str(request.place.get("name", request.url))
        name = cme_name(full) or CmeName("", None, early=False, form=_ending(full))
        if name.form == "txt":
            return Page(Verdict("ignored", "text of fixed width is not read"))
        if (found := markup(answer)) is not None:
            return Page(found)
        cabinet = self._config.cabinet
        kinds = shapes(name.exchange, None if cabinet is None else repr(cabinet))
        if name.form == "xml":
            page = _fixml(answer, kinds[0])
        else:
            page = SettlementText(answer, kinds, ZONE).page()
        if page.verdict.cls == "malformed":
            return passed_over(page.verdict)
        rows = Stamped(page.batches, self._published(name, request, answer))
        return Page(page.verdict, rows if page.batches else (), drift=page.drift)

    def _published(
        self, name: CmeName, request: Request, answer: Answer
    ) -> datetime | None:
        rule = self._config.publication
        if rule == "observed":
            return None
        written = published_at(request, answer)
        if rule == "schedule" or written is None:
            return name.scheduled_at or written
        return written

    def discover(self) -> Request | None:
        """Nothing lists the contracts but the files."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return a listing, and a final file in which one price is none."""
        config = CmeSettlementsConfig(base_url="sftp://drop.example.org/~/")
        body = (
            b"BizDt,Sym,ID,StrkPx,SecTyp,MMY,PutCall,Exch,SettlePrice\n"
            b'"2026-01-09","CL","CL","","FUT","202602","","NYMEX","58.41"\n'
            b'"2026-01-09","CL","CL","","FUT","202603","","NYMEX","58.x"\n'
        )
        at = datetime(2026, 1, 10, 12, tzinfo=UTC)
        name = "2026/nymex.settle.s.20260109.csv"
        written = "2026-01-10T06:05:00+00:00"
        files = [{"name": name, "size": len(body), "mtime": written}]
        listing = json.dumps({"files": files}).encode()
        (partition,) = cls(config).plan(at - timedelta(days=2), at)
        return Example(
            config,
            partition,
            (
                Answer(200, {"content-type": "application/json"}, at, listing),
                Answer(200, {"content-type": "text/csv"}, at, body),
            ),
        )


def _ending(name: str) -> str:
    return "xml" if name.lower().endswith(".xml") else "csv"


def _fixml(answer: Answer, shape: Shape) -> Page:
    _, tail, _ = ends(answer)
    if not tail.rstrip().endswith(b"</FIXML>"):
        return Page(Verdict("transient", "the end of the XML is missing"))
    rows = Settlements(partial(fixml_cells, answer), shape, ZONE)
    try:
        first = next(iter(rows), None)
    except InvalidFile as error:
        return Page(Verdict("malformed", error.detail))
    return Page(Verdict("empty") if first is None else OK, rows)
