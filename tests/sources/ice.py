"""ICE's download site: three answers under 200, tokens that run out, a limit."""

from dataclasses import dataclass, field
from datetime import date, datetime
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from tests.sources.server import Call, Reply
from tests.sources.truth import Truth

USER, PASSWORD = "a-fake-user", "a fake&password"
HEADER = (
    "TRADE DATE|HUB|PRODUCT|STRIP|CONTRACT|CONTRACT TYPE|STRIKE|SETTLEMENT PRICE|"
    "NET CHANGE|EXPIRATION DATE|PRODUCT_ID"
)
_HTML = {"Content-Type": "text/html; charset=utf-8"}
_NONE = b"<!DOCTYPE html><html><body><td> No Files Available</td></body></html>"
_OUT = b"<!DOCTYPE html><html><head><title>ICE SSO Client</title></head></html>"
_LIMIT = b"You are limited to 30 requests per minute. Please retry after 1 min."


@dataclass
class Ice:
    """Serves a report for each day of the truth, whose series are contracts.

    Attributes:
        truth: of midnights in New York; a series is named like ``451|AEC|F|9/1/2026|``.
        lasts: how many reports a token is good for.
        limit: after how many reports it wants a pause, once.
    """

    truth: Truth
    lasts: int = 3
    limit: int = 30
    tokens: list[str] = field(default_factory=list)
    used: int = 0
    served: int = 0

    def answer(self, call: Call) -> Reply:
        """Answer a call."""
        if call.path == "/sso":
            return self._login(call)
        cookie = call.headers.get("cookie", "")
        if not self.tokens or cookie != f"iceSsoCookie={self.tokens[-1]}":
            return Reply(200, _OUT, _HTML)
        if self.used >= self.lasts:
            self.tokens.append("no more")
            return Reply(200, _OUT, _HTML)
        self.used += 1
        self.served += 1
        if self.served % self.limit == 0:
            return Reply(429, _LIMIT, {"Retry-After": "60"})
        return self._report(call.path)

    def _login(self, call: Call) -> Reply:
        form = {name: texts[0] for name, texts in parse_qs(call.body.decode()).items()}
        if (form.get("userId"), form.get("password")) != (USER, PASSWORD):
            return Reply(401, b'{"error": "no"}')
        self.used = 0
        self.tokens.append(f"fake-token-{len(self.tokens)}")
        body = f'{{"data": {{"token": "{self.tokens[-1]}"}}}}'
        return Reply(200, body.encode(), {"Content-Type": "application/json"})

    def _report(self, path: str) -> Reply:
        stem = path.rpartition("/")[2].removesuffix(".dat")
        day = date(*map(int, stem.split("_")[-3:]))
        at = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("America/New_York"))
        lines = [
            f"{day.month}/{day.day}/{day.year}|HUB|A product|{_cells(name, value)}"
            for name, ts, value in self.truth.rows()
            if ts == at
        ]
        if not lines:
            return Reply(200, _NONE, _HTML)
        body = "\n".join([HEADER, *lines, ""]).encode()
        return Reply(200, body, {"Content-Type": "text/plain"})


def _cells(name: str, value: float | None) -> str:
    product, contract, kind, strip, strike = name.split("|")
    price = "" if value is None else f"{value:.5f}"
    return f"{strip}|{contract}|{kind}|{strike}|{price}|0.00000|{strip}|{product}"
