"""India's load despatch centres: undocumented, best effort, so off by default."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from ingest.batch import Batch
from ingest.connectors import connector
from ingest.connectors.grid_india_psp import ZONE, report_page
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
from ingest.indian_answers import Row, current, eastern, reports, western
from ingest.layout import UploadLayout
from ingest.parse import parse
from ingest.records import raw_records
from ingest.refusals import refused
from ingest.verdicts import OK, Verdict, decoded, general, markup

Kind = Literal["wrldc", "erldc", "meritindia", "grid_india"]

_HOSTS: Mapping[Kind, str] = {
    "wrldc": "https://www.wrldc.in/OnlinestateTest1.aspx/GetRealTimeData_state_Wise",
    "erldc": "https://app.erldc.in/api/pspreportpsp/Get"
    "/pspreport_psp_interregionalexchanges/GetByTwoDate",
    "meritindia": "https://meritindia.in/StateWiseDetails/BindCurrentStateStatus",
    "grid_india": "https://webapi.grid-india.in/api/v1/file",
}
_FIELDS = ("ImportMU", "ExportMU", "NET")
_INDIA = ZoneInfo(ZONE)
_LAYOUT = UploadLayout("ndjson", timezone=ZONE, missing=("-", "NA", "N/A"))
_SPAN = timedelta(days=31)
_APRIL = 4
_JSON = {"Content-Type": "application/json"}


class IndiaLoadDespatchConfig(Config):
    """Which centre is asked, and for what."""

    kind: Kind = Field(
        description="wrldc: demands of western states; erldc: exchanges of eastern "
        "lines; meritindia: a state now; grid_india: daily reports of all regions."
    )
    base_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="The address that answers; by default that of the kind.",
    )
    files_url: str = Field(
        default="https://webcdn.grid-india.in",
        description="Where the reports of grid_india lie.",
    )
    state: str | None = Field(
        default=None,
        pattern=r"^[A-Z]{2,3}$",
        description="The code of the state, for meritindia, such as MHA.",
    )
    fields: tuple[str, ...] = Field(
        default=_FIELDS, min_length=1, description="The figures to keep, for erldc."
    )

    @model_validator(mode="after")
    def _state_of_a_state(self) -> Self:
        if (self.state is not None) != (self.kind == "meritindia"):
            message = "meritindia, and no other kind, is asked for a state"
            raise ValueError(message)
        return self

    @property
    def url(self) -> str:
        """The address that answers."""
        return self.base_url or _HOSTS[self.kind]


@connector("india_load_despatch")
class IndiaLoadDespatch:
    """Demands and exchanges in India's zone; formats change, so drift is expected."""

    spec: ClassVar[Spec] = Spec(
        title="India load despatch centres (undocumented, best effort)",
        licence="Undocumented services of public bodies: ask before relying on them.",
        limits=Limits(per_second=0.2, burst=2.0),
        tiers=(Tier("hot", timedelta(days=7), timedelta(days=1)),),
        span=_SPAN,
        enabled=False,
    )
    config_type: ClassVar[type[Config]] = IndiaLoadDespatchConfig

    def __init__(self, config: IndiaLoadDespatchConfig) -> None:
        self._config = config

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window into 31 days, where the centre can be asked for a time."""
        timed = self._config.kind in ("erldc", "grid_india")
        return cut(start, end, span=_SPAN if timed else None)

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask for the window, or for now."""
        config = self._config
        days = list(_days(partition))
        if config.kind == "erldc" and partition.start is not None and not days:
            return ()
        if config.kind == "erldc":
            return (self._between(days),)
        if config.kind == "grid_india":
            months = sorted({(day.year, day.month) for day in days})
            return tuple(self._month(*month) for month in months)
        code = {} if config.state is None else {"StateCode": config.state}
        body = json.dumps(code)
        return (Request(config.url, headers=_JSON, method="POST", body=body),)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Read demands, exchanges, a list of reports, or a report."""
        verdict = general(answer) or markup(answer)
        if verdict is not None:
            return Page(verdict)
        if (day := request.place.get("day")) is not None:
            ts = datetime.combine(date.fromisoformat(str(day)), _MIDNIGHT, _INDIA)
            return report_page(answer, ts=ts.astimezone(UTC), mean_mw=False)
        found = decoded(answer)
        if isinstance(found, Verdict):
            return Page(found)
        if self._config.kind == "grid_india":
            return self._reports(found, partition)
        return self._rows(found, answer)

    def discover(self) -> Request | None:
        """Nothing lists the series."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return a demand before noon, one after, and one that is no number."""
        shown = ("12:15:00", "01:15:00", "12:15:00")
        records = [
            {
                "StateName": "GUJARAT",
                "Demand": demand,
                "current_datetime": f"2023-25-06 {clock}",
            }
            for demand, clock in zip(("18210", "n.a.", "19990"), shown, strict=True)
        ]
        body = json.dumps({"d": json.dumps(records)}).encode()
        at = datetime(2023, 6, 25, 9, tzinfo=UTC)
        return Example(
            IndiaLoadDespatchConfig(kind="wrldc"),
            Partition("now"),
            (Answer(200, {"content-type": "application/json"}, at, body),),
        )

    def _between(self, days: list[date]) -> Request:
        if not days:
            return Request(self._config.url)
        window = (("firstDate", days[0]), ("secondDate", days[-1]))
        params = tuple((name, day.isoformat()) for name, day in window)
        return Request(self._config.url, params)

    def _month(self, year: int, month: int) -> Request:
        first = year if month >= _APRIL else year - 1
        asked = {
            "_source": "GRDW",
            "_type": "DAILY_PSP_REPORT",
            "_fileDate": f"{first}-{(first + 1) % 100:02d}",
            "_month": f"{month:02d}",
        }
        body = json.dumps(asked)
        return Request(self._config.url, headers=_JSON, method="POST", body=body)

    def _reports(self, found: Any, partition: Partition) -> Page:
        listed = reports(found)
        if isinstance(listed, Verdict):
            return Page(refused(found) or listed)
        wanted = set(_days(partition))
        follow = tuple(
            Request(
                f"{self._config.files_url}/{path.lstrip('/')}",
                place={"day": day.isoformat()},
            )
            for day, path in sorted(listed.items())
            if day in wanted
        )
        detail = f"{len(follow)} of {len(listed)} reports"
        return Page(Verdict("metadata", detail), follow=follow)

    def _rows(self, found: Any, answer: Answer) -> Page:
        config = self._config
        readers: Mapping[Kind, Callable[[], list[Row] | Verdict]] = {
            "wrldc": lambda: western(found),
            "erldc": lambda: eastern(found, fields=config.fields),
            "meritindia": lambda: current(
                found, state=config.state or "", at=answer.fetched_at
            ),
        }
        rows = readers[config.kind]()
        if isinstance(rows, Verdict):
            return Page(refused(found) or rows)
        if not rows:
            return Page(Verdict("empty", "there are no records"))
        return Page(OK, _batches(rows), series=tuple(self._series(rows)))

    def _series(self, rows: list[Row]) -> Iterator[SeriesMeta]:
        daily = "P1D" if self._config.kind == "erldc" else None
        energies = {
            local_key(field) for field in self._config.fields if "MW" not in field
        }
        for key in dict.fromkeys(row["series"] for _, row in rows):
            energy = daily and key.rpartition(".")[2] in energies
            yield SeriesMeta(key, key, "MU" if energy else "MW", daily, ZONE)


_MIDNIGHT = datetime.min.time()


def _batches(rows: list[Row]) -> Iterator[Batch]:
    numbers = [number for number, _ in rows]
    raw = raw_records([row for _, row in rows], layout=_LAYOUT, numbers=numbers)
    yield from parse([raw], layout=_LAYOUT)


def _days(partition: Partition) -> Iterator[date]:
    """Yield the days of India that begin in a window."""
    if partition.start is None or partition.end is None:
        return
    day = partition.start.astimezone(_INDIA).date()
    while (begins := datetime.combine(day, _MIDNIGHT, _INDIA)) < partition.end:
        if begins >= partition.start:
            yield day
        day += timedelta(days=1)
