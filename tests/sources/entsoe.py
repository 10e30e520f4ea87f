"""ENTSO-E over a truth table: curves of type A03, whole market days, limits, a ZIP."""

import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from tests.sources.server import Call, Reply
from tests.sources.truth import HOUR, Truth

TOKEN = "fake-security-token"
LAST_OFFSET = 4_800
_ZONE = ZoneInfo("Europe/Brussels")
_XML = {"Content-Type": "application/xml"}
_ACK = (
    '<?xml version="1.0" encoding="UTF-8"?><Acknowledgement_MarketDocument '
    'xmlns="urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0">'
    "<mRID>1</mRID><Reason><code>999</code><text>{}</text></Reason>"
    "</Acknowledgement_MarketDocument>"
)

Row = tuple[datetime, float]


@dataclass
class Entsoe:
    """Tells of areas, which are the series of the truth.

    Attributes:
        truth: the table.
        step: between its starts.
        most: how many instances, which are market days, one answer may hold.
        packed: whether answers are ZIPs of a document a day, an offset leading on.
    """

    truth: Truth
    step: timedelta = HOUR
    most: int = 1_000
    packed: bool = False

    def answer(self, call: Call) -> Reply:
        """Return a document, a ZIP, or an acknowledgement."""
        if call.headers.get("security_token") != TOKEN:
            body = b"<html><body>Unauthorized. Invalid security token.</body></html>"
            return Reply(401, body, {"Content-Type": "text/html; charset=utf-8"})
        try:
            start, end = (_instant(call.one(f"period{name}")) for name in _BOUNDS)
            offset = _offset(call, packed=self.packed)
        except ValueError:
            return _said("Invalid query attributes or parameters.", 400)
        days = self._days(_area(call), start, end)
        if len(days) > self.most and not self.packed:
            text = (
                f"The number of instances ({len(days)}) exceeds the allowed maximum "
                f"({self.most})."
            )
            return _said(text, 400)
        days = days[offset : offset + self.most] if self.packed else days
        if not days:
            return _said("No matching data found for Data item LOAD [6.1.A]")
        if self.packed:
            texts = [_outage(_area(call), day, self.step) for day in days]
            return Reply(200, packed(texts), {"Content-Type": "application/zip"})
        return Reply(200, _document(call, days, self.step).encode(), _XML)

    def _days(
        self, area: str, start: datetime, end: datetime
    ) -> list[tuple[str, list[Row]]]:
        """Return the market days that the window touches, whole."""
        rows = [
            (ts, value)
            for _, ts, value in self.truth.rows(series=[area])
            if value is not None
        ]
        days = groupby(rows, key=lambda row: f"{row[0].astimezone(_ZONE):%Y-%m-%d}")
        whole = [(day, list(found)) for day, found in days]
        return [
            (day, found)
            for day, found in whole
            if found[0][0] < end and found[-1][0] >= start
        ]


_BOUNDS = ("Start", "End")


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=UTC)


def _offset(call: Call, *, packed: bool) -> int:
    offset = int(call.one("offset", "0"))
    if offset > LAST_OFFSET or (offset and not packed):
        raise ValueError
    return offset


def _said(text: str, status: int = 200) -> Reply:
    return Reply(status, _ACK.format(text).encode(), _XML)


def _area(call: Call) -> str:
    names = ("outBiddingZone_Domain", "biddingZone_Domain", "in_Domain")
    return next((call.one(name) for name in names if call.one(name)), "")


def _interval(start: datetime, end: datetime, name: str = "timeInterval") -> str:
    said = f"<start>{start:%Y-%m-%dT%H:%MZ}</start><end>{end:%Y-%m-%dT%H:%MZ}</end>"
    return f"<{name}>{said}</{name}>"


def periods(rows: Sequence[Row], step: timedelta, name: str = "Period") -> str:
    """Encode rows: a period for each stretch without a gap, repeats left out."""
    found, stretch = [], [rows[0]]
    for row in [*rows[1:], None]:
        if row is not None and row[0] == stretch[-1][0] + step:
            stretch.append(row)
            continue
        bounds = _interval(stretch[0][0], stretch[-1][0] + step)
        minutes = step // timedelta(minutes=1)
        found.append(
            f"<{name}>{bounds}<resolution>PT{minutes}M</resolution>"
            f"{''.join(_points(stretch))}</{name}>"
        )
        stretch = [row] if row is not None else []
    return "".join(found)


def _points(stretch: Sequence[Row]) -> Iterable[str]:
    before = None
    for position, (_, value) in enumerate(stretch, start=1):
        if value != before:
            yield (
                f"<Point><position>{position}</position>"
                f"<quantity>{value:,.2f}</quantity></Point>"
            )
        before = value


def _document(
    call: Call, days: Sequence[tuple[str, list[Row]]], step: timedelta
) -> str:
    series = "".join(
        f"<TimeSeries><mRID>{number}</mRID><businessType>A04</businessType>"
        f'<outBiddingZone_Domain.mRID codingScheme="A01">{_area(call)}'
        "</outBiddingZone_Domain.mRID>"
        "<quantity_Measure_Unit.name>MAW</quantity_Measure_Unit.name>"
        f"<curveType>A03</curveType>{periods(rows, step)}</TimeSeries>"
        for number, (_, rows) in enumerate(days, start=1)
    )
    first, last = days[0][1][0][0], days[-1][1][-1][0] + step
    return (
        '<?xml version="1.0" encoding="UTF-8"?><GL_MarketDocument '
        'xmlns="urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0">'
        f"<mRID>d</mRID><type>{call.one('documentType')}</type>"
        f"<process.processType>{call.one('processType')}</process.processType>"
        f"{_interval(first, last, 'time_Period.timeInterval')}{series}"
        "</GL_MarketDocument>"
    )


def _outage(area: str, day: tuple[str, list[Row]], step: timedelta) -> str:
    name, rows = day
    bounds = _interval(
        rows[0][0], rows[-1][0] + step, "unavailability_Time_Period.timeInterval"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Unavailability_MarketDocument '
        'xmlns="urn:iec62325.351:tc57wg16:451-6:outagedocument:3:0">'
        f"<mRID>{name}</mRID><type>A80</type>{bounds}"
        f"<TimeSeries><mRID>1</mRID><businessType>A53</businessType>"
        f"<biddingZone_Domain.mRID>{area}</biddingZone_Domain.mRID>"
        "<production_RegisteredResource.mRID>UNIT 1"
        "</production_RegisteredResource.mRID><curveType>A03</curveType>"
        f"{periods(rows, step, 'Available_Period')}</TimeSeries>"
        "</Unavailability_MarketDocument>"
    )


def packed(texts: Sequence[str], ends: str = "xml") -> bytes:
    """Return a ZIP of some texts."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, text in enumerate(texts, start=1):
            archive.writestr(f"{number:03}-doc.{ends}", text)
    return body.getvalue()


_COLUMNS = (
    "DateTime(UTC)",
    "ResolutionCode",
    "AreaCode",
    "AreaDisplayName",
    "AreaTypeCode",
    "AreaMapCode",
    "TotalLoad[MW]",
    "UpdateTime(UTC)",
)


@dataclass
class EntsoeFiles:
    """The file library: a log-in, a listing, and a file for each month."""

    truth: Truth
    password: str = "fake-password"
    token: str = "fake-token"
    logins: list[dict[str, list[str]]] = field(default_factory=list)

    def answer(self, call: Call) -> Reply:
        """Return a token, a listing or a ZIP."""
        said = {"Content-Type": "application/json"}
        if call.path == "/login":
            self.logins.append(parse_qs(call.body.decode()))
            if self.logins[-1].get("password") != [self.password]:
                return Reply(401, b'{"error": "invalid_grant"}', said)
            return Reply(200, json.dumps({"access_token": self.token}).encode(), said)
        if call.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401, b'{"error": "unauthorized"}', said)
        asked = json.loads(call.body)
        months = sorted({f"{ts:%Y_%m}" for ts in self.truth.starts})
        if call.path == "/listFolder":
            dataset = asked["path"].strip("/").split("/")[-1]
            items = [{"name": f"{month}_{dataset}.csv"} for month in months]
            return Reply(200, json.dumps({"contentItemList": items}).encode(), said)
        text = self._text(asked["filename"][:7])
        return Reply(200, packed([text], "csv"), {"Content-Type": "application/zip"})

    def _text(self, month: str) -> str:
        lines = ["\ufeff" + "\t".join(_COLUMNS)]
        for area, ts, value in self.truth.rows():
            version = self.truth.version(area, ts)
            if f"{ts:%Y_%m}" == month and version is not None:
                lines.append(
                    f"{ts:%Y-%m-%d %H:%M:%S}\tPT60M\t{area}\tSome (XX)\tBZN\tXX\t"
                    f"{'' if value is None else value}\t"
                    f"{version.published_at:%Y-%m-%d %H:%M:%S}"
                )
        return "\n".join(lines) + "\n"
