"""Yahoo's chart service: daily bars and events; unofficial, so off by default.

Its terms allow personal use only. It is asked rarely, under our own name, and without
the cookies and crumbs that clients collect to look like a browser.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from ingest.batch import Batch, Rejected
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
from ingest.packed import unpacked
from ingest.parse import parse
from ingest.records import raw_records
from ingest.refusals import refused
from ingest.sayings import said
from ingest.verdicts import (
    OK,
    Verdict,
    decoded,
    drift,
    general,
    markup,
    retry_after_s,
    told,
)

FIELDS = ("open", "high", "low", "close", "volume")
_SPAN = timedelta(days=366)
_REST_S = 3_600.0
"""It says nothing of how long to wait, and is known to block for hours."""

_AGENT = "forebay"
_LAYOUT = UploadLayout("ndjson", timezone="UTC")
_NO_ROWS = "data doesn't exist for"
_NOTICE = 100  # characters of a page that says nothing else


class YahooChartConfig(Config):
    """Daily bars of some symbols."""

    base_url: str = Field(
        default="https://query1.finance.yahoo.com",
        description="Where the charts are asked for.",
    )
    symbols: tuple[str, ...] = Field(
        min_length=1, max_length=200, description="Such as ^SP500TR or CL=F."
    )

    @field_validator("symbols")
    @classmethod
    def _distinct(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        keys = [local_key(symbol) for symbol in symbols]
        if not all(keys) or len(set(keys)) < len(keys):
            message = f"the symbols make keys that are not distinct: {keys}"
            raise ValueError(message)
        return symbols


@dataclass(frozen=True)
class _Chart:
    """A chart whose shape has been looked at."""

    symbol: str
    zone: ZoneInfo
    stamps: list[Any]
    quotes: Mapping[str, list[Any]]
    events: Mapping[str, Any]


@connector("yahoo_chart")
class YahooChart:
    """Bars as traded and the events beside them; never the adjusted close.

    The history of the adjusted close is written anew at each dividend, so it would be
    a revision of everything; it can be computed from what is kept here.
    """

    spec: ClassVar[Spec] = Spec(
        title="Yahoo Finance chart (unofficial)",
        licence="Personal use only; take a licensed end-of-day file where you can.",
        limits=Limits(per_second=0.2, burst=2.0, per_day=500.0),
        tiers=(Tier("hot", timedelta(days=10), timedelta(days=1)),),
        span=_SPAN,
        lag=timedelta(days=1),
        enabled=False,
        documentation="https://legal.yahoo.com/us/en/yahoo/terms/otos/index.html",
    )
    config_type: ClassVar[type[Config]] = YahooChartConfig

    def __init__(self, config: YahooChartConfig) -> None:
        self._config = config

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window into years."""
        return cut(start, end, span=_SPAN)

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask for each symbol by itself."""
        return tuple(self._request(symbol, partition) for symbol in self._symbols)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Read the bars of a symbol."""
        answer = unpacked(answer)
        if (verdict := _refusal(answer)) is not None:
            return Page(verdict)
        symbol = str(request.place.get("symbol", self._symbols[0]))
        result = _result(decoded(answer))
        if isinstance(result, Verdict):
            return Page(result)
        chart = _chart(symbol, result)
        if isinstance(chart, Verdict):
            return Page(chart)
        unit = result["meta"].get("currency")
        kept = _settled(chart, result["meta"].get("regularMarketTime"), partition.end)
        records = [*_bars(chart, kept), *_events(chart, len(chart.stamps) + 1)]
        verdict = OK if records else Verdict("empty", "there are no bars")
        series = tuple(_series(symbol, unit if isinstance(unit, str) else None))
        return Page(verdict, _batches(records), series=series)

    def discover(self) -> Request | None:
        """Nothing lists the symbols."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return a bar, a bar of nulls, and one with a text for a price."""
        bars = {name: [57.5, None, 58.0] for name in FIELDS}
        chart = {
            "meta": {"currency": "USD", "exchangeTimezoneName": "America/New_York"},
            "timestamp": [1767589200, 1767675600, 1767762000],
            "indicators": {"quote": [{**bars, "close": [57.5, None, "n/a"]}]},
        }
        body = json.dumps({"chart": {"result": [chart], "error": None}}).encode()
        fetched_at = datetime(2026, 1, 9, 6, tzinfo=UTC)
        start, end = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)
        return Example(
            YahooChartConfig(symbols=("CL=F",)),
            Partition("20260105T0000Z-20260108T0000Z", start, end),
            (Answer(200, {"content-type": "application/json"}, fetched_at, body),),
        )

    @property
    def _symbols(self) -> tuple[str, ...]:
        return self._config.symbols

    def _request(self, symbol: str, partition: Partition) -> Request:
        start, end = partition.start, partition.end
        window = (
            (("period1", _seconds(start)), ("period2", _seconds(end)))
            if start and end
            else (("range", "max"),)
        )
        return Request(
            f"{self._config.base_url}/v8/finance/chart/{quote(symbol, safe='')}",
            (
                *window,
                ("interval", "1d"),
                ("events", "div,splits,capitalGains"),
                ("includePrePost", "false"),
            ),
            headers={"User-Agent": _AGENT},
            place={"symbol": symbol},
        )


def _seconds(at: datetime) -> str:
    return str(int(at.timestamp()))


def _refusal(answer: Answer) -> Verdict | None:
    """Return what is wrong with an answer; a limit first, as it has many faces."""
    text = told(answer)
    error = _error(answer)
    notice = "" if text.startswith("{") else text[:_NOTICE]
    if answer.status == 429 or said(error or notice) == "rate_limited":  # noqa: PLR2004
        wait_s = retry_after_s(answer)
        rest_s = _REST_S if wait_s is None else wait_s
        return Verdict("rate_limited", error or text, rest_s)
    if answer.status >= 500:  # noqa: PLR2004
        return general(answer)
    if _NO_ROWS in error.lower():
        return Verdict("empty", error)
    if (verdict := general(answer)) is not None:
        return Verdict(verdict.cls, error or verdict.detail, verdict.wait_s)
    if error:
        return Verdict(said(error) or "config", error)
    return markup(answer)


def _error(answer: Answer) -> str:
    """Return what the envelope says went wrong, or ""."""
    found = decoded(answer)
    for name in ("chart", "finance"):
        part = found.get(name) if isinstance(found, dict) else None
        error = part.get("error") if isinstance(part, dict) else None
        if isinstance(error, dict):
            return f"{error.get('code')}: {error.get('description')}"[:300]
    return ""


def _result(found: Any) -> Mapping[str, Any] | Verdict:
    if isinstance(found, Verdict):
        return found
    chart = found.get("chart") if isinstance(found, dict) else None
    results = chart.get("result") if isinstance(chart, dict) else None
    if not (isinstance(results, list) and results and isinstance(results[0], dict)):
        drifted = Verdict("schema_drift", "chart.result is missing")
        return refused(found) or drifted
    result: Mapping[str, Any] = results[0]
    if not isinstance(result.get("meta"), dict):
        return Verdict("schema_drift", "chart.result.meta is missing")
    return result


def _chart(symbol: str, result: Mapping[str, Any]) -> _Chart | Verdict:
    zone = _zone(result["meta"])
    if isinstance(zone, Verdict):
        return zone
    events = result.get("events")
    stamps = [] if result.get("timestamp") is None else result["timestamp"]
    chart = _Chart(symbol, zone, stamps, {}, events if isinstance(events, dict) else {})
    if not isinstance(stamps, list):
        return Verdict("malformed", "the times are no list")
    if not stamps:
        return chart
    quotes = _quotes(result)
    _, gone = drift(quotes, required=frozenset(FIELDS), known=frozenset(quotes))
    if gone is not None:
        return gone
    sizes = {
        name: len(quotes[name]) if isinstance(quotes[name], list) else -1
        for name in FIELDS
    }
    if set(sizes.values()) != {len(stamps)}:
        return Verdict("malformed", f"{len(stamps)} times, but {sizes} prices")
    return _Chart(symbol, zone, stamps, quotes, chart.events)


def _zone(meta: Mapping[str, Any]) -> ZoneInfo | Verdict:
    """Return the zone that makes dates of instants; the offset is today's only."""
    grain = meta.get("dataGranularity", "1d")
    if grain != "1d":
        return Verdict("schema_drift", f"days were asked for, {grain} came")
    name = meta.get("exchangeTimezoneName")
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return Verdict("schema_drift", f"exchangeTimezoneName is {name!r}"[:200])


def _quotes(result: Mapping[str, Any]) -> Mapping[str, Any]:
    indicators = result.get("indicators")
    quotes = indicators.get("quote") if isinstance(indicators, dict) else None
    first = quotes[0] if isinstance(quotes, list) and quotes else None
    return first if isinstance(first, dict) else {}


def _settled(chart: _Chart, live: Any, end: datetime | None) -> int:
    """Return how many bars to keep: the last may be but the price of the moment."""
    size = len(chart.stamps)
    if not size or type(live) is not int or chart.stamps[-1] != live:
        return size
    date = _date(live, chart.zone)
    again = size > 1 and _date(chart.stamps[-2], chart.zone) == date
    beyond = end is not None and live >= end.timestamp()
    return size - 1 if again or beyond else size


def _date(stamp: Any, zone: ZoneInfo) -> str:
    """Return the date of a stamp at the exchange, or a text that is no date."""
    if type(stamp) is int:
        try:
            return datetime.fromtimestamp(stamp, zone).date().isoformat()
        except (ValueError, OverflowError, OSError):
            pass
    return json.dumps(stamp)


def _bars(chart: _Chart, kept: int) -> Iterator[tuple[int, Any]]:
    keys = {name: local_key(chart.symbol, name) for name in FIELDS}
    for number, stamp in enumerate(chart.stamps[:kept]):
        date = _date(stamp, chart.zone)
        for name, key in keys.items():
            yield number + 1, _record(key, date, chart.quotes[name][number])


def _events(chart: _Chart, row: int) -> Iterator[tuple[int, Any]]:
    """Yield dividends and gains as amounts, and splits as new shares for an old one."""
    for kind, each in sorted(chart.events.items()):
        found = each.values() if isinstance(each, dict) else [each]
        for event in found:
            if isinstance(event, dict):
                key = local_key(chart.symbol, kind)
                date = _date(event.get("date"), chart.zone)
                yield row, _record(key, date, _amount(event))
            else:
                detail = f"no event: {json.dumps(event)[:80]}"
                yield row, Rejected(row, "malformed_row", detail)
            row += 1


def _amount(event: Mapping[str, Any]) -> Any:
    if "amount" in event:
        return event["amount"]
    above, below = event.get("numerator"), event.get("denominator")
    if above is None:
        above, _, below = str(event.get("splitRatio", "")).partition(":")
    try:
        return float(above) / float(below or "")
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return f"{above}:{below}"


def _record(key: str, date: str, cell: Any) -> Mapping[str, Any]:
    number = cell is None or type(cell) in {int, float}
    return {"series": key, "ts": date, "value": cell if number else json.dumps(cell)}


def _batches(records: Sequence[tuple[int, Any]]) -> Iterator[Batch]:
    numbers = [number for number, _ in records]
    raw = raw_records(
        [record for _, record in records], layout=_LAYOUT, numbers=numbers
    )
    yield from parse([raw], layout=_LAYOUT)


def _series(symbol: str, currency: str | None) -> Iterator[SeriesMeta]:
    for name in FIELDS:
        unit = None if name == "volume" else currency
        yield SeriesMeta(local_key(symbol, name), f"{symbol} {name}", unit, "P1D")
