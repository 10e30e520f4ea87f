"""Yahoo's chart service over a table of daily prices, with its quirks."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from tests.sources.server import Call, Reply
from tests.sources.truth import Truth

FIELDS = ("open", "high", "low", "close", "volume")
NEW_YORK = ZoneInfo("America/New_York")


@dataclass
class Yahoo:
    """Answers for symbols whose series are named ``symbol/field`` in the table.

    Attributes:
        truth: of midnights in UTC, which stand for dates.
        now: the instant of all answers; its price comes behind the last bar.
        left: how many calls are answered before all are refused.
    """

    truth: Truth
    now: datetime
    left: int = 1_000_000

    def answer(self, call: Call) -> Reply:
        """Answer a call, or say what is wrong with it."""
        self.left -= 1
        if self.left < 0:
            return Reply(429, b"Too Many Requests\n", {"Content-Type": "text/plain"})
        symbol = unquote(call.path.rpartition("/")[2])
        if f"{symbol}/close" not in self.truth.series:
            told = "No data found, symbol may be delisted"
            return _error(404, "Not Found", told)
        first, last = (
            datetime.fromtimestamp(int(call.one(name)), UTC)
            for name in ("period1", "period2")
        )
        dates = [ts for ts in self.truth.starts if first <= opening(ts) < last]
        if not dates and last < opening(self.truth.starts[0]):
            told = f"Data doesn't exist for startDate = {first}, endDate = {last}"
            return _error(400, "Bad Request", told)
        result = {"meta": self._meta(symbol), "indicators": {"quote": [{}]}}
        if dates:
            result |= self._bars(symbol, dates)
        body = {"chart": {"result": [result], "error": None}}
        return _json(body, 200)

    def _meta(self, symbol: str) -> dict[str, Any]:
        return {
            "currency": "USD",
            "symbol": symbol,
            "regularMarketTime": int(self.now.timestamp()),
            "gmtoffset": -14_400,
            "exchangeTimezoneName": "America/New_York",
            "dataGranularity": "1d",
        }

    def _bars(self, symbol: str, dates: list[datetime]) -> dict[str, Any]:
        stamps = [int(opening(ts).timestamp()) for ts in dates] + [
            int(self.now.timestamp())
        ]
        quotes = {
            name: [*(self.truth.at(f"{symbol}/{name}", ts) for ts in dates), 1.0]
            for name in FIELDS
        }
        return {"timestamp": stamps, "indicators": {"quote": [quotes]}}


def opening(date: datetime) -> datetime:
    """Return when the exchange opens on a date."""
    local = datetime(date.year, date.month, date.day, 9, 30, tzinfo=NEW_YORK)
    return local.astimezone(UTC)


def weekdays(start: datetime, length: int) -> tuple[datetime, ...]:
    """Return the dates on which there is trade."""
    days = (start + timedelta(days=number) for number in range(length))
    return tuple(day for day in days if day.weekday() < 5)


def _error(status: int, code: str, told: str) -> Reply:
    error = {"code": code, "description": told}
    return _json({"chart": {"result": None, "error": error}}, status)


def _json(body: Any, status: int) -> Reply:
    text = json.dumps(body).encode()
    return Reply(status, text, {"Content-Type": "application/json"})
