"""A site with rules for robots and a page whose table shows a table of values."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from tests.sources.server import Call, Reply
from tests.sources.truth import Truth

ROBOTS = "User-agent: *\nCrawl-delay: 10\nDisallow: /private/\n"


@dataclass
class WebPage:
    """Answers with the page ``/prices.html``, also behind ``/private/``.

    Attributes:
        truth: of days; a column for each series.
        now: up to when its versions are known.
        robots: the rules; None if the site has none.
        layout: the page as it is, or as one day it may be.
    """

    truth: Truth
    now: datetime
    robots: str | None = ROBOTS
    layout: str = "table"

    def answer(self, call: Call) -> Reply:
        """Answer a call."""
        if call.path == "/robots.txt":
            if self.robots is None:
                return Reply(404, b"not found", {"Content-Type": "text/plain"})
            return Reply(200, self.robots.encode(), {"Content-Type": "text/plain"})
        if not call.path.endswith("/prices.html"):
            return Reply(404, b"<html>gone</html>", {"Content-Type": "text/html"})
        body = self._page().encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if call.headers.get("if-none-match") == tag:
            return Reply(304, b"", {"ETag": tag})
        return Reply(200, body, {"Content-Type": "text/html", "ETag": tag})

    def _page(self) -> str:
        if self.layout == "divs":
            cells = "".join(f"<div>{name}</div>" for name in self.truth.series)
            return f"<html><body><div class=grid>{cells}</div></body></html>"
        names = self.truth.series
        heads = "".join(f"<th>{name}</th>" for name in names)
        rows: dict[datetime, list[str]] = {}
        for _, ts, value in self.truth.rows(as_of=self.now):
            text = (
                "&ndash;" if value is None else f"{value:,.2f}".replace("-", "&minus;")
            )
            rows.setdefault(ts, []).append(f"<td>&nbsp;{text}</td>")
        lines = "".join(
            f"<tr><td>{ts:%d %b %Y}</td>{''.join(cells)}</tr>"
            for ts, cells in rows.items()
        )
        span = len(names)
        return (
            "<!DOCTYPE html><html><body><table><tr><td>menu</td></tr></table>"
            "<h2>Spot prices</h2><table><thead>"
            f"<tr><th rowspan=2>Date</th><th colspan={span}>USD</th></tr>"
            f"<tr>{heads}</tr></thead><tbody>{lines}</tbody>"
            f"<tfoot><tr><td colspan={span + 1}>Source: us</td></tr></tfoot>"
            "</table></body></html>"
        )
