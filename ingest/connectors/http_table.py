"""Any table behind an address: JSON, CSV, NDJSON, Parquet or Arrow, page by page."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

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
from ingest.exchange import Answer, Request
from ingest.paging import Paging, first_page, turn
from ingest.table_kinds import misdeclared
from ingest.table_layout import TableFormat, TableLayout
from ingest.table_rows import TableBody
from ingest.verdicts import Verdict, decoded, general, markup

_SECRETS = ("api_key", "token", "password")
_HOLDER = re.compile(r"\{secret:([^}]*)\}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_PRIVATE = frozenset({"authorization", "cookie", "x-api-key", "proxy-authorization"})
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class HttpTableConfig(Config):
    """An address, what lies there, and how it is asked for."""

    base_url: str = Field(
        pattern=r"^https?://[^\s?#]+$",
        description="The address of the table, without parameters.",
    )
    format: TableFormat = Field(default="json", description="How answers are written.")
    layout: TableLayout = Field(
        default_factory=TableLayout, description="What the columns are."
    )
    rows_path: str = Field(
        default="",
        description="Where the rows lie in JSON: names with dots between, * for all.",
    )
    params: Mapping[str, str] = Field(
        default_factory=dict,
        description="Parameters of each request; {secret:api_key} stands for a secret.",
    )
    headers: Mapping[str, str] = Field(
        default_factory=dict,
        description="Headers, such as X-Api-Key: {secret:api_key}.",
    )
    paging: Paging = Field(
        default_factory=Paging, description="How long answers are cut into pages."
    )
    start_param: str | None = Field(
        default=None, description="The parameter of the first instant wanted."
    )
    end_param: str | None = Field(
        default=None, description="The parameter of the end of the window."
    )
    window_format: str = Field(
        default="%Y-%m-%dT%H:%M:%SZ",
        description="How both are written, in UTC: a pattern, epoch_s or epoch_ms.",
    )
    end_is: Literal["outside", "inside"] = Field(
        default="outside",
        description="Whether a row at the end belongs to the answer; then one "
        "microsecond less is asked for.",
    )
    span_days: int = Field(
        default=31, ge=1, le=3_660, description="The longest window of one request."
    )
    whole: bool = Field(
        default=False,
        description="Whether answers hold all rows of their window, so that a row "
        "that is gone counts as withdrawn.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for texts in (self.params, self.headers):
            for text in texts.values():
                _check_text(text)
        for name, text in self.headers.items():
            _check_header(name, text)
        reads_json = self.format == "json"
        paging = self.paging
        if not reads_json and (paging.next_path or paging.total_path):
            message = "only JSON has paths to a next page and to a total"
            raise ValueError(message)
        if paging.style == "cursor" and not reads_json:
            message = "a cursor is read from JSON"
            raise ValueError(message)
        return self

    @property
    def windowed(self) -> bool:
        """Whether a request can ask for a window."""
        return self.start_param is not None or self.end_param is not None


def _check_text(text: str) -> None:
    for name in _HOLDER.findall(text):
        if name not in _SECRETS:
            message = f"there is no secret {name!r}, but {', '.join(_SECRETS)}"
            raise ValueError(message)
    if re.search(r"[\x00-\x1f\x7f]", text):
        message = "a header or parameter holds a control character"
        raise ValueError(message)


def _check_header(name: str, text: str) -> None:
    if not _NAME.fullmatch(name) or name.lower() in _OURS:
        message = f"{name!r} is no header that may be set"
        raise ValueError(message)
    if name.lower() in _PRIVATE and not _HOLDER.search(text):
        message = f"write what {name} has to keep as {{secret:api_key}}"
        raise ValueError(message)


@connector("http_table")
class HttpTable:
    """A declared table: nothing about it is guessed, and a change of it is told."""

    spec: ClassVar[Spec] = Spec(
        title="HTTP table (JSON, CSV, NDJSON, Parquet, Arrow)",
        licence="That of the source: the owner of the connector has to know it.",
        limits=Limits(per_second=1.0, burst=2.0),
        secrets=tuple(
            SecretField(name, name.replace("_", " ").capitalize(), required=False)
            for name in _SECRETS
        ),
        tiers=(
            Tier("hot", timedelta(days=10), timedelta(days=1)),
            Tier("warm", timedelta(days=60), timedelta(days=7)),
        ),
        span=None,
        completeness="declared_total",
    )
    config_type: ClassVar[type[Config]] = HttpTableConfig

    def __init__(self, config: HttpTableConfig) -> None:
        self._config = config

    @property
    def asks_window(self) -> bool:
        """Whether a window can be sent; one end alone may name a day or a month."""
        return self._config.windowed

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window as long as a request may ask for, if it can ask for any."""
        days = timedelta(days=self._config.span_days)
        return cut(start, end, span=days if self._config.windowed else None)

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask for the window; only for what changed, if the partition knows a tag."""
        config = self._config
        headers = dict(config.headers)
        if config.paging.style == "none":
            headers |= _condition(partition.part)
        params = [*config.params.items(), *self._window(partition)]
        request = Request(config.base_url, tuple(params), headers)
        return (first_page(request, config.paging),)

    def conditional(self, partition: Partition) -> Request | None:
        """Return the one request of a table that is not cut into pages."""
        whole = self._config.paging.style == "none"
        return self.requests(partition)[0] if whole else None

    def _window(self, partition: Partition) -> list[tuple[str, str]]:
        config, end = self._config, partition.end
        if end is not None and config.end_is == "inside":
            end -= timedelta(microseconds=1)
        sides = ((config.start_param, partition.start), (config.end_param, end))
        return [
            (name, _written(at, config.window_format))
            for name, at in sides
            if name is not None and at is not None
        ]

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Say what a page is and what follows on it."""
        config = self._config
        document = self._document(answer)
        body = TableBody(
            answer,
            config.format,
            config.layout,
            partition.start or answer.fetched_at,
            config.rows_path,
            document,
        )
        verdict = body.verdict()
        if verdict.cls not in ("ok", "empty"):
            return Page(self._misdeclared(answer, verdict) or verdict)
        counted = config.paging.counts or config.paging.total_path is not None
        count = body.count if counted and verdict.cls == "ok" else 0
        onward = turn(request, answer, document, count=count, paging=config.paging)
        if onward.verdict is not None:
            return Page(onward.verdict, total=onward.total)
        return Page(
            verdict,
            body if verdict.cls == "ok" else (),
            () if onward.request is None else (onward.request,),
            total=onward.total,
            complete=config.whole,
        )

    def _document(self, answer: Answer) -> object:
        if self._config.format != "json" or general(answer) or markup(answer):
            return None
        found = decoded(answer)
        return None if isinstance(found, Verdict) else found

    def _misdeclared(self, answer: Answer, verdict: Verdict) -> Verdict | None:
        """Say so where another table lies behind the address than was declared."""
        doubted = verdict.cls in ("transient", "malformed")
        if self._config.format != "json" or not doubted or general(answer):
            return None
        return misdeclared(answer)

    def discover(self) -> Request | None:
        """Nothing lists the series of just any table."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return two pages of JSON, in which one value is none."""
        config = HttpTableConfig(
            base_url="https://load.example.org/v1/rows",
            layout=TableLayout(
                series_columns=("zone",), ts_column="t", value_columns=("v",)
            ),
            rows_path="data",
            headers={"X-Api-Key": "{secret:api_key}"},
            paging=Paging(style="cursor", param="after", next_path="next"),
            start_param="from",
            end_param="to",
        )
        first = (
            b'{"data":[{"zone":"A","t":"2026-01-10T00:00:00Z","v":1.5},'
            b'{"zone":"A","t":"2026-01-10T01:00:00Z","v":"x"}],"next":"c2"}'
        )
        second = b'{"data":[{"zone":"A","t":"2026-01-10T02:00:00Z","v":2}],"next":null}'
        start = datetime(2026, 1, 10, tzinfo=UTC)
        (partition,) = cls(config).plan(start, start + timedelta(days=1))
        answers = (
            Answer(200, {"content-type": "application/json"}, start, body)
            for body in (first, second)
        )
        return Example(config, partition, tuple(answers))


def _condition(part: Mapping[str, object]) -> dict[str, str]:
    """Return the headers that ask for a newer version than the one known."""
    names = {"etag": "If-None-Match", "last_modified": "If-Modified-Since"}
    return {header: str(part[name]) for name, header in names.items() if part.get(name)}


def _written(at: datetime, form: str) -> str:
    if form == "epoch_s":
        return str(int(at.timestamp()))
    if form == "epoch_ms":
        return str(int(at.timestamp() * 1_000))
    return at.astimezone(UTC).strftime(form)
