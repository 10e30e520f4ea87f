"""From one page of an answer to the next: five ways, and when each of them ends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import parse_qsl, urljoin, urlsplit, urlunsplit

from pydantic import Field

from ingest.contract import Config
from ingest.exchange import Answer, Request
from ingest.json_rows import at
from ingest.verdicts import Verdict

Style = Literal["none", "offset", "page", "cursor", "link"]

_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^,;=]+(?:=(?:\"[^\"]*\"|[^\",;]*))?)*)")
_RELATION = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\",;\s]*))", re.IGNORECASE)


class Paging(Config):
    """How a source cuts long answers into pages."""

    style: Style = Field(
        default="none",
        description="offset and page count up until nothing comes or the total is "
        "reached; cursor sends back what the last answer said; link follows the "
        "header Link, or the address at next_path",
    )
    size: int = Field(
        default=1_000, ge=1, le=1_000_000, description="rows to ask for in a page"
    )
    size_param: str | None = Field(
        default="limit", description="the parameter of the size; none to not send it"
    )
    param: str = Field(
        default="offset", description="the parameter of the offset, page or cursor"
    )
    first: int = Field(
        default=0, ge=0, description="the first offset or page: 0 or 1 as a rule"
    )
    next_path: str | None = Field(
        default=None, description="where the next cursor or address lies in the JSON"
    )
    total_path: str | None = Field(
        default=None, description="where the number of all rows lies in the JSON"
    )
    most_pages: int = Field(
        default=1_000, ge=1, le=10_000, description="more pages than that are an error"
    )

    @property
    def counts(self) -> bool:
        """Whether the next page follows from how many rows came."""
        return self.style in ("offset", "page")


@dataclass(frozen=True)
class Turn:
    """What follows on a page: another request, an error, or nothing."""

    request: Request | None = None
    verdict: Verdict | None = None
    total: int | None = None


def first_page(request: Request, paging: Paging) -> Request:
    """Return a request with the parameters of its first page."""
    if paging.style == "none":
        return request
    changes = {} if paging.size_param is None else {paging.size_param: paging.size}
    if paging.counts:
        changes[paging.param] = paging.first
    return _changed(request, changes, {"page": 1, "rows": 0})


def turn(
    request: Request, answer: Answer, document: Any, *, count: int, paging: Paging
) -> Turn:
    """Return what comes after a good page.

    Args:
        request: of the page.
        answer: to it.
        document: its JSON, or None.
        count: how many rows it holds, good and bad.
        paging: as declared.
    """
    if paging.style == "none":
        return Turn()
    number = int(request.place.get("page", 1))
    rows = int(request.place.get("rows", 0)) + count
    total = _total(document, paging)
    if isinstance(total, Verdict):
        return Turn(verdict=total)
    if paging.counts:
        onward = _counted(request, paging, count=count, rows=rows, total=total)
    elif paging.style == "cursor":
        onward = _by_cursor(request, document, paging)
    else:
        onward = _by_link(request, answer, document, paging)
    if isinstance(onward, Request):
        if number >= paging.most_pages:
            cap = f"there are more than {paging.most_pages} pages"
            return Turn(verdict=Verdict("malformed", cap))
        place = {**request.place, "page": number + 1, "rows": rows}
        return Turn(replace(onward, place=place), total=total)
    return Turn(verdict=onward, total=total)


def _total(document: Any, paging: Paging) -> int | Verdict | None:
    if paging.total_path is None:
        return None
    found = at(document, paging.total_path)
    text = str(found).strip()
    if re.fullmatch(r"\d{1,3}(,\d{3})+", text):
        text = text.replace(",", "")
    if isinstance(found, bool) or not re.fullmatch(r"\d{1,15}(\.0*)?", text):
        detail = f"no number of rows at {paging.total_path!r}, but {text[:50]!r}"
        return Verdict("schema_drift", detail)
    return int(float(text))


def _counted(
    request: Request, paging: Paging, *, count: int, rows: int, total: int | None
) -> Request | Verdict | None:
    # A source may send fewer rows than asked for and have more: only an empty page or
    # the total is the end.
    if total is not None and rows >= total:
        return None
    if count == 0:
        if total is None:
            return None
        return Verdict("incomplete", f"{rows} rows of {total} came, then no more")
    now = int(dict(request.params)[paging.param])
    step = count if paging.style == "offset" else 1
    return _changed(request, {paging.param: now + step}, request.place)


def _by_cursor(
    request: Request, document: Any, paging: Paging
) -> Request | Verdict | None:
    found = at(document, paging.next_path or "next_cursor")
    if found is None or found is False or found == "":
        return None
    if isinstance(found, dict | list | bool):
        return Verdict("schema_drift", "the next cursor is neither text nor a number")
    if str(found) == dict(request.params).get(paging.param):
        return Verdict("malformed", f"the cursor {str(found)[:80]!r} came twice")
    return _changed(request, {paging.param: found}, request.place)


def _by_link(
    request: Request, answer: Answer, document: Any, paging: Paging
) -> Request | Verdict | None:
    if paging.next_path is not None:
        found = at(document, paging.next_path)
    else:
        found = next_link(answer.headers.get("link", ""))
    if not found:
        return None
    if not isinstance(found, str):
        return Verdict("schema_drift", "the address of the next page is no text")
    try:
        split = urlsplit(urljoin(request.url, found))
    except ValueError:
        return Verdict("malformed", f"{found[:80]!r} is no address")
    here = urlsplit(request.url)
    if (split.scheme, split.netloc) != (here.scheme, here.netloc):
        # The request carries secrets; only the source itself may have them.
        return Verdict("malformed", f"the next page is elsewhere: {split.netloc}")
    params = tuple(parse_qsl(split.query, keep_blank_values=True))
    url = urlunsplit((split.scheme, split.netloc, split.path, "", ""))
    kept = _secrets_of(request.params, params)
    onward = replace(request, url=url, params=(*params, *kept))
    if (onward.url, onward.params) == (request.url, request.params):
        return Verdict("malformed", "a page names itself as the next one")
    return onward


def _secrets_of(
    asked: tuple[tuple[str, str], ...], given: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """Return the parameters with secrets that a source left out of its own link."""
    names = {name for name, _ in given}
    return tuple(
        (name, text) for name, text in asked if "{secret:" in text and name not in names
    )


def next_link(header: str) -> str | None:
    """Return the address of relation next of a header Link.

    Example:
        >>> next_link('</a?p=1>; rel="prev", </a?p=3>; rel="next last"')
        '/a?p=3'
    """
    for address, attributes in _LINK.findall(header):
        for quoted, bare in _RELATION.findall(attributes):
            if "next" in (quoted or bare).lower().split():
                return str(address)
    return None


def _changed(
    request: Request, changes: Mapping[str, object], place: Mapping[str, Any]
) -> Request:
    """Return a request with some parameters put in place of those of their names."""
    kept = [pair for pair in request.params if pair[0] not in changes]
    fresh = [(name, str(value)) for name, value in changes.items()]
    return replace(request, params=(*kept, *fresh), place=place)
