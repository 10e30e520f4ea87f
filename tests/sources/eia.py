"""EIA's API v2 as it behaves: one route of hourly grid data, over a table of truth."""

import json
import random
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.sources.server import Call, Reply
from tests.sources.truth import HOUR, Truth

ROUTE = "electricity/rto/region-data"
KEY = "eiaKey0000000000000000000000000000000001"
MOST_ROWS = 5_000
FACETS = ("respondent", "type")
FORM = "%Y-%m-%dT%H"
_BRACKETS = re.compile(r"\w+|\[(\w*)\]")


class Eia:
    """Answers as EIA does; series of the truth are named ``respondent:type``.

    It sorts as it is told and by nothing else: without a sort by period and all facets
    the order changes from call to call, as pages of the real one do. Hours are stamped
    with their end. Every body repeats the question, key and all.

    Attributes:
        truth: what it tells of.
        now: only what was published by then is told; None for all.
        key: the only one that is let in.
    """

    def __init__(
        self, truth: Truth, *, now: datetime | None = None, key: str = KEY
    ) -> None:
        self.truth = truth
        self.now = now
        self.key = key
        self._calls = 0

    def answer(self, call: Call) -> Reply:
        """Return metadata, values of a facet, rows, or an error."""
        self._calls += 1
        asked = _asked(call)
        given = call.headers.get("x-api-key") or asked.get("api_key")
        if given != self.key:
            code = "API_KEY_INVALID" if given else "API_KEY_MISSING"
            return _json({"error": {"code": code, "message": "No such key."}}, 403)
        path = call.path.strip("/").removeprefix("v2/")
        if path == ROUTE:
            return _json({"response": _METADATA, "apiVersion": "2.1.12"})
        if (facet := path.removeprefix(f"{ROUTE}/facet/")) in FACETS:
            return self._values(facet)
        if path != f"{ROUTE}/data":
            return _json({"error": "not found", "code": 404}, 404)
        return self._rows(asked, given)

    def _values(self, facet: str) -> Reply:
        place = FACETS.index(facet)
        codes = sorted({name.split(":")[place] for name in self.truth.series})
        facets = [{"id": code, "name": f"Name of {code}"} for code in codes]
        response = {"totalFacets": len(facets), "facets": facets}
        return _json({"response": response, "apiVersion": "2.1.12"})

    def _rows(self, asked: Mapping[str, Any], key: str) -> Reply:
        if (refused := _refused(asked)) is not None:
            return refused
        rows = self._sorted(self._chosen(asked), asked.get("sort", []))
        offset = int(asked.get("offset", 0))
        length = min(int(asked.get("length", MOST_ROWS)), MOST_ROWS)
        response = {
            "total": str(len(rows)),
            "dateFormat": 'YYYY-MM-DD"T"HH24',
            "frequency": "hourly",
            "data": [_row(*row) for row in rows[offset : offset + length]],
        }
        body: dict[str, Any] = {
            "response": response,
            "request": {
                "command": f"/v2/{ROUTE}/data/",
                "params": {**asked, "api_key": key},
            },
            "apiVersion": "2.1.12",
        }
        if len(rows) > offset + length:
            body["warnings"] = [{"warning": "incomplete return", "description": "..."}]
        return _json(body)

    def _chosen(self, asked: Mapping[str, Any]) -> list[tuple[str, str, float | None]]:
        facets = asked.get("facets", {})
        wanted = [
            name
            for name in self.truth.series
            if all(
                not facets.get(facet) or code in facets[facet]
                for facet, code in zip(FACETS, name.split(":"), strict=True)
            )
        ]
        first, last = (
            datetime.strptime(f"{asked[side]}+0000", f"{FORM}%z") - HOUR
            if side in asked
            else None
            for side in ("start", "end")
        )
        end = None if last is None else last + timedelta(microseconds=1)
        rows = self.truth.rows(series=wanted, start=first, end=end, as_of=self.now)
        return [(f"{ts + HOUR:{FORM}}", name, value) for name, ts, value in rows]

    def _sorted(
        self, rows: list[tuple[str, str, float | None]], sort: list[dict[str, str]]
    ) -> list[tuple[str, str, float | None]]:
        random.Random(self._calls).shuffle(rows)
        for by in reversed(sort):
            place = ("period", *FACETS).index(by["column"])
            rows.sort(
                key=lambda row: (row[0], *row[1].split(":"))[place],
                reverse=by.get("direction") == "desc",
            )
        return rows


_METADATA = {
    "id": "region-data",
    "frequency": [{"id": "hourly", "query": "H", "format": 'YYYY-MM-DD"T"HH24'}],
    "facets": [{"id": facet, "description": facet.title()} for facet in FACETS],
    "data": {"value": {"units": "megawatthours"}},
    "defaultFrequency": "hourly",
}


def _asked(call: Call) -> dict[str, Any]:
    """Return the question: JSON of a header, or the brackets of the query."""
    if "x-params" in call.headers:
        return dict(json.loads(call.headers["x-params"]))
    asked: dict[str, Any] = {}
    for name, text in call.query:
        parts = [
            found[1] if found[1] is not None else found[0]
            for found in _BRACKETS.finditer(name)
        ]
        match parts:
            case ["facets", facet, _]:
                asked.setdefault("facets", {}).setdefault(facet, []).append(text)
            case ["data", _]:
                asked.setdefault("data", []).append(text)
            case ["sort", number, part]:
                sort = asked.setdefault("sort", [])
                sort.extend({} for _ in range(int(number) + 1 - len(sort)))
                sort[int(number)][part] = text
            case _:
                asked[name] = text
    return asked


def _refused(asked: Mapping[str, Any]) -> Reply | None:
    told = None
    if asked.get("frequency") != "hourly":
        told = f"Invalid frequency '{asked.get('frequency')}' provided."
    elif unknown := set(asked.get("facets", {})) - set(FACETS):
        told = f"Invalid facet '{min(unknown)}' provided."
    elif asked.get("data") != ["value"]:
        told = "Invalid data provided. The only valid data are 'value'."
    return None if told is None else _json({"error": told, "code": 400}, 400)


def _row(period: str, name: str, value: float | None) -> dict[str, str | None]:
    respondent, kind = name.split(":")
    return {
        "period": period,
        "respondent": respondent,
        "respondent-name": f"Name of {respondent}",
        "type": kind,
        "type-name": f"Name of {kind}",
        "value": None if value is None else str(value),
        "value-units": "megawatthours",
    }


def _json(body: object, status: int = 200) -> Reply:
    return Reply(
        status, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
