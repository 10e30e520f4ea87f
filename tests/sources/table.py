"""A table behind an address, in any format, cut into pages in any way."""

import io
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.sources.server import Call, Reply
from tests.sources.truth import Truth

KEY = "a-fake-key-of-a-table"


@dataclass
class Table:
    """Answers with rows of the truth; the path says how they are cut and written.

    Attributes:
        truth: what there is.
        now: up to when its versions are known.
        most: how many rows it gives at once, whatever is asked for.
        short: how many rows are left out of what it declares as total.
    """

    truth: Truth
    now: datetime | None = None
    most: int = 5_000
    short: int = 0
    tag: str = '"v1"'
    key: str | None = None

    def answer(self, call: Call) -> Reply:
        """Answer a call."""
        if self.key is not None and call.headers.get("x-api-key") != self.key:
            return _json({"error": "who are you?"}, 401)
        rows = self._rows(call)
        style = call.path.strip("/").partition(".")[0]
        if style == "whole":
            return self._whole(call, rows)
        first = self._first(call, style)
        limit = min(self.most, int(call.one("limit", "1000")))
        page = rows[first : first + limit]
        body: dict[str, Any] = {"data": page, "meta": {"total": str(len(rows))}}
        headers = {}
        if first + limit < len(rows):
            body["meta"]["next"] = f"c{first + limit}"
            headers["Link"] = f'<{call.path}?after=c{first + limit}>; rel="next"'
        return _json(body, 200, **headers)

    def _first(self, call: Call, style: str) -> int:
        if style == "offset":
            return int(call.one("offset", "0"))
        if style == "page":
            limit = min(self.most, int(call.one("limit", "1000")))
            return (int(call.one("page", "1")) - 1) * limit
        return int(call.one("after", "c0")[1:])

    def _rows(self, call: Call) -> list[dict[str, Any]]:
        start, end = (
            datetime.fromisoformat(call.one(name)) if call.one(name) else None
            for name in ("from", "to")
        )
        rows = [
            {"zone": name, "t": f"{ts:%Y-%m-%dT%H:%M:%SZ}", "v": value}
            for name, ts, value in self.truth.rows(start=start, end=end, as_of=self.now)
        ]
        return rows[: len(rows) - self.short]

    def _whole(self, call: Call, rows: list[dict[str, Any]]) -> Reply:
        if call.headers.get("if-none-match") == self.tag:
            return Reply(304, b"", {"ETag": self.tag})
        write = {"csv": _csv, "ndjson": _ndjson, "json": _plain, "parquet": _parquet}
        body = write[call.path.rpartition(".")[2]](rows)
        return Reply(200, body, {"ETag": self.tag})


def _csv(rows: list[dict[str, Any]]) -> bytes:
    lines = ["zone,t,v", *(f"{r['zone']},{r['t']},{_text(r['v'])}" for r in rows)]
    return "\n".join([*lines, ""]).encode()


def _text(value: float | None) -> str:
    return "" if value is None else repr(value)


def _ndjson(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _plain(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"data": rows}).encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    table = pa.Table.from_pylist(
        [{**row, "t": datetime.fromisoformat(row["t"])} for row in rows]
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _json(body: Any, status: int = 200, **headers: str) -> Reply:
    named = {"Content-Type": "application/json", **headers}
    return Reply(status, json.dumps(body).encode(), named)
