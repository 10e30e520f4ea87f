"""Answers of EIA's API: what their envelope says, and whether pages fit together."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ingest.eia_rows import Columns, Contract, marks
from ingest.exchange import Answer, Request
from ingest.refusals import refused
from ingest.sayings import said
from ingest.verdicts import OK, Class, Verdict, decoded, general, retry_after_s

MOST_ROWS = 5_000
"""Of one answer, whatever length is asked for."""

_MOST_MARKS = 30_000
_CUT = "incomplete return"
_MISTAKE = re.compile(r"invalid|not found|not valid", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """What a page has to know of the pages before it.

    Attributes:
        facets: the columns of codes.
        offset: how many rows came before.
        total: how many rows there are, as the first page said.
        lost: how many rows before were copies or lay outside the window.
        unplaced: how many rows before could not be placed.
        period: the latest one before.
        marks: the rows of that period, as fingerprints; None if they are too many.
    """

    facets: tuple[str, ...] = ()
    offset: int = 0
    total: int | None = None
    lost: int = 0
    unplaced: int = 0
    period: str = ""
    marks: tuple[str, ...] | None = ()

    @classmethod
    def of(cls, request: Request, echo: Any) -> "Place":
        """Return the place of a request; without one, what the question said."""
        known = dict(request.place)
        asked = {**(echo if isinstance(echo, dict) else {}), **dict(request.params)}
        known.setdefault("offset", _count(asked.get("offset")) or 0)
        known["facets"] = tuple(known.get("facets", ()))
        if known.get("marks") is not None:
            known["marks"] = tuple(known["marks"])
        names = cls.__dataclass_fields__
        return cls(**{name: cell for name, cell in known.items() if name in names})

    @property
    def json(self) -> Mapping[str, Any]:
        """The same as JSON."""
        return asdict(self)


def envelope(answer: Answer) -> dict[str, Any] | Verdict:
    """Return the body of an answer that holds a response, else what it means.

    The code in the body counts for more than the status: a mistake of the question
    has been sent under 500, and a limit under 200.
    """
    status = general(answer)
    body = decoded(answer)
    if isinstance(body, dict) and body.get("error") and answer.whole:
        return _refusal(body, answer, status)
    if status is not None:
        return status
    if isinstance(body, Verdict):
        return body
    if not isinstance(body, dict) or not isinstance(body.get("response"), dict):
        return _instead(body)
    return body


def _instead(body: Any) -> Verdict:
    """Return what came where a response should be; the first API put errors in data."""
    found = refused(body)
    if found is None and isinstance(body, dict):
        found = refused(body.get("data"))
    return found or Verdict("transient", "the answer holds no response")


def _refusal(
    body: Mapping[str, Any], answer: Answer, status: Verdict | None
) -> Verdict:
    error = body["error"]
    told = error if isinstance(error, dict) else {"message": error, **body}
    code = str(told.get("code", ""))
    detail = f"{code}: {told.get('message')}" if code else str(told.get("message"))
    cls = _class_of(code)
    if cls is None and _MISTAKE.match(str(error)):
        cls = "config"
    if cls is None:
        cls = status.cls if status else said(detail) or "transient"
    return Verdict(cls, detail[:300], retry_after_s(answer))


def _class_of(code: str) -> Class | None:
    if code.startswith("API_KEY") or code in ("401", "403"):
        return "auth"
    if code in ("OVER_RATE_LIMIT", "429"):
        return "rate_limited"
    if re.fullmatch(r"4\d\d", code):
        return "config"
    return "transient" if re.fullmatch(r"5\d\d", code) else None


def warnings(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the warnings of an answer, which stand beside or inside the response."""
    both = (body.get("warnings"), body["response"].get("warnings"))
    lists: list[Sequence[Any]] = [one for one in both if isinstance(one, list)]
    return tuple(
        str(one.get("warning")) if isinstance(one, dict) else str(one)
        for several in lists
        for one in several
    )


def judged(
    place: Place,
    body: Mapping[str, Any],
    cut: Columns,
    contract: Contract,
    *,
    length: int,
) -> tuple[Verdict, Place]:
    """Say whether a page goes on where the last one ended, and where the next begins.

    Pages are sorted by period first, so no row of a page can be one of an earlier page
    unless both have the period at which the pages meet; those rows are compared.

    Args:
        place: of the page.
        body: of the answer.
        cut: its rows.
        contract: what they hold.
        length: how many rows were asked for at most.

    Returns:
        The verdict, and the place of the next page.
    """
    count = len(body["response"]["data"])
    total = _count(body["response"].get("total"))
    if total is None:
        return Verdict("schema_drift", "the response has no total"), place
    reached = place.offset + count
    after = replace(
        place,
        offset=reached,
        total=total,
        lost=place.lost + cut.lost,
        unplaced=place.unplaced + len(cut.rejected),
    )
    if not count and place.offset >= total:
        return Verdict("empty"), after
    told = warnings(body)
    paged = place.offset > 0 or reached < total
    fault = _gap(place, total, cut, contract) if paged else None
    if fault is None and reached < total and count < length and _CUT not in told:
        fault = f"{count} rows came, {total - place.offset} were to come"
    if fault is not None:
        return Verdict("incomplete", fault), after
    if reached < total:
        after = _met(after, cut, contract)
    return (Verdict("ok", "; ".join(told)) if told else OK), after


def _gap(place: Place, total: int, cut: Columns, contract: Contract) -> str | None:
    count = len(cut.whole[0])
    if not count:
        return "the page is empty, but rows are to come"
    if place.total is not None and place.total != total:
        return f"the total went from {place.total} to {total} between two pages"
    if cut.distinct < count:
        return f"of {count} rows only {cut.distinct} are distinct"
    if cut.first and cut.first < place.period:
        return f"the page goes back to {cut.first}, before {place.period}"
    again = cut.first == place.period and place.marks
    if again and marks(cut, cut.first, contract) & set(place.marks or ()):
        return f"rows of {place.period} came on the page before already"
    return None


def _met(place: Place, cut: Columns, contract: Contract) -> Place:
    """Return the place of the next page with the rows at which the pages meet."""
    if cut.last < place.period:
        return place
    before = place.marks if cut.last == place.period else ()
    last = marks(cut, cut.last, contract)
    if before is None or len(before) + len(last) > _MOST_MARKS:
        return replace(place, period=cut.last, marks=None)
    return replace(place, period=cut.last, marks=(*before, *sorted(last)))


def _count(text: Any) -> int | None:
    found = re.fullmatch(r"(\d{1,3}(?:,\d{3})+|\d{1,15})(?:\.0*)?", str(text).strip())
    return int(found[1].replace(",", "")) if found else None
