"""India's open data platform over a table of months, in an order of its own."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from tests.sources.server import Call, Reply
from tests.sources.truth import Truth

KEY = "a-fake-key-of-india"


@dataclass
class DataGovIn:
    """Answers with the rows of one resource.

    Attributes:
        truth: of the first days of months.
        now: up to when its versions are known.
        most: how many rows it gives at once, whatever is asked for.
    """

    truth: Truth
    now: datetime
    most: int = 10
    keys: list[str] = field(default_factory=lambda: [KEY])

    @property
    def updated(self) -> datetime:
        """The latest change of any row."""
        return max(
            version.published_at
            for name in self.truth.series
            for ts in self.truth.starts
            for version in self.truth.versions(name, ts)
            if version.published_at <= self.now
        )

    def answer(self, call: Call) -> Reply:
        """Answer a call, or say what is wrong with it."""
        if not call.one("api-key"):
            return _json({"error": "Authorization field missing"}, 400)
        if call.one("api-key") not in self.keys:
            return _json({"error": "Key not authorised"}, 403)
        rows = self._rows()
        offset = int(call.one("offset", "0"))
        limit = min(self.most, int(call.one("limit", "10")))
        records = rows[offset : offset + limit]
        return _json(
            {
                "updated": int(self.updated.timestamp()),
                "status": "ok",
                "field": [{"id": name, "type": "double"} for name in rows[0]],
                "total": len(rows),
                "count": len(records),
                "limit": str(limit),
                "offset": str(offset),
                "records": records,
            }
        )

    def _rows(self) -> list[dict[str, str]]:
        rows = [
            {
                "month": f"{ts:%B}",
                "year": str(ts.year),
                "company_name": name,
                "quantity": "NA" if value is None else f"{value:,.2f}",
            }
            for name, ts, value in self.truth.rows(as_of=self.now)
        ]
        Random(1).shuffle(rows)
        return rows


def _json(body: Any, status: int = 200) -> Reply:
    text = json.dumps(body).encode()
    return Reply(status, text, {"Content-Type": "application/json"})
