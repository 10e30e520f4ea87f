"""Reads the XML documents of IEC 62325, alone or many in a ZIP, as ENTSO-E sends them.

The names of elements are matched without their namespace, whose version changes.
Nothing is fetched, no entity is put in, and a document that brings a DTD is refused.
"""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from ingest.contract import SeriesMeta
from ingest.entsoe_curves import Curves
from ingest.entsoe_periods import (
    PERIODS,
    Period,
    interval_of,
    local_name,
    period_of,
    texts_of,
)
from ingest.entsoe_runs import Points
from ingest.entsoe_series import areas_of, series_of, step_of
from ingest.entsoe_steps import Unreadable
from ingest.entsoe_zip import Member, Refusal, members
from ingest.sayings import said as said_in
from ingest.verdicts import OK, Verdict, words

if TYPE_CHECKING:
    from lxml.etree import _Element

BAN_S = 600.0
"""How long an address and a token are shut out after too many requests."""

_READ = [f"{{*}}{name}" for name in (*PERIODS, "TimeSeries", "Reason")]
_ZIP = b"PK\x03\x04"
_NO_ZIP_MEMBER = b"PK\x05\x06"
_HEAD = 4_096
_REPEATS: Mapping[str, bool] = {"A01": False, "A03": True}
_WITHDRAWN = "A13"

_TOO_MUCH = (
    r"exceed|allowed limit|number of instances|longer than|more than (1|one) (day|year)"
    r"|maximum (allowed )?(period|interval|duration)"
)
_TOO_OFTEN = r"too many requests|max(imum)? allowed requests|requests per|rate.?limit"
_SAYINGS: tuple[tuple[str, Verdict], ...] = (
    (r"no matching data", Verdict("empty")),
    (_TOO_OFTEN, Verdict("rate_limited", wait_s=BAN_S)),
    (_TOO_MUCH, Verdict("split_window")),
    (r"unauthori[sz]ed|security ?token|authenticat", Verdict("auth")),
    (r"not available|B11", Verdict("not_available")),
    (r"unexpected|internal|temporar|try again|timed? ?out", Verdict("transient")),
)


@dataclass
class Found:
    """What the documents of one answer hold.

    Attributes:
        curves: the points, trimmed to the window.
        series: what was said of each series, by key.
        verdict: of the acknowledgement, or ok where there was data.
        instances: how many documents came, or time series where they came in one.
        covers: the intervals that documents declare for themselves.
        points: how many have been read so far.
        placed: whether every series names an area.
    """

    curves: Curves
    series: dict[str, SeriesMeta] = field(default_factory=dict)
    verdict: Verdict = OK
    instances: int = 0
    covers: list[tuple[datetime, datetime]] = field(default_factory=list)
    points: int = 0
    placed: bool = True


def read_documents(stream: BinaryIO, curves: Curves) -> Found:
    """Read one document, or all documents of a ZIP.

    Args:
        stream: at its beginning; seekable.
        curves: takes the points; knows the window.

    Returns:
        What was found. An acknowledgement among documents with data says nothing; if
        there is nothing else, its meaning is the verdict.

    Raises:
        Refusal: the answer is cut off, not such a document, or unsafe to read.
    """
    found = Found(curves)
    head = stream.read(_HEAD)
    stream.seek(0)
    said: list[Verdict] = []
    if head.startswith((_ZIP, _NO_ZIP_MEMBER)):
        for member in members(stream):
            found.instances += 1
            said += _document(member, found)
    else:
        said += _document(stream, found)
        found.instances = found.instances or len(found.series)
    curves.finish()
    if not found.series and said:
        found.verdict = said[0]
    return found


def meaning(text: str) -> Verdict:
    """Return what an acknowledgement means; its code is 999 whatever it says.

    Example:
        >>> meaning("No matching data found for Data item ENERGY_PRICES").cls
        'empty'
    """
    for pattern, verdict in _SAYINGS:
        if re.search(pattern, text, re.IGNORECASE):
            return Verdict(verdict.cls, text, verdict.wait_s)
    return Verdict("config", text)


def _document(stream: BinaryIO | Member, found: Found) -> list[Verdict]:
    """Read one document; return what it says if it is an acknowledgement."""
    from lxml import etree  # noqa: PLC0415 - only readers of XML pay for it

    _check(stream)
    reader = _Reader(found)
    events = etree.iterparse(
        stream,
        events=("end",),
        tag=_READ,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        remove_blank_text=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        for _, element in events:
            reader.take(element)
        root = events.root
    except etree.XMLSyntaxError as error:
        detail = f"the XML is cut off or damaged: {error.msg}"
        raise Refusal(Verdict("transient", detail)) from error
    except Unreadable as error:
        raise Refusal(Verdict("malformed", str(error))) from error
    if root is None or root.getroottree().docinfo.internalDTD is not None:
        raise Refusal(Verdict("malformed", "the document brings a DTD"))
    return reader.end(root)


def _check(stream: BinaryIO | Member) -> None:
    """Look at the first bytes; what is no XML says in words what is wrong."""
    head = stream.read(_HEAD)
    stream.seek(0)
    if b"<!DOCTYPE" in head:
        raise Refusal(Verdict("malformed", "the document brings a DTD"))
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return
    text = head.decode(errors="replace").lstrip("\ufeff \t\r\n")
    if not text:
        raise Refusal(Verdict("transient", "the answer is empty"))
    if not text.startswith("<"):
        found = meaning(words(head))
        if found.cls in {"config", "empty"}:
            found = Verdict(said_in(found.detail) or "malformed", found.detail)
        raise Refusal(found)


class _Reader:
    """Takes the elements of one document as they end."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._root: dict[str, str] = {}
        self._periods: list[Period] = []
        self._reasons: list[str] = []
        self._named: dict[tuple[object, ...], SeriesMeta] = {}

    def take(self, element: "_Element") -> None:
        """Take a period, a time series or a reason."""
        name = local_name(element)
        if name in PERIODS:
            self._periods.append(period_of(element, self._found.points))
            self._found.points += len(self._periods[-1].positions)
            element.clear()
        elif name == "TimeSeries":
            self._series(element)
            element.clear()
        else:
            texts = {local_name(child): child.text or "" for child in element}
            self._reasons.append(" ".join(filter(None, texts.values())))

    def end(self, root: "_Element") -> list[Verdict]:
        """Take the document as a whole."""
        name = local_name(root)
        if name == "Acknowledgement_MarketDocument":
            return [meaning(" ".join(self._reasons))]
        if not name.endswith("_MarketDocument"):
            raise Refusal(Verdict("schema_drift", f"<{name}> is no market document"))
        for child in root:
            if local_name(child).endswith("timeInterval"):
                self._found.covers.append(interval_of(child))
        return []

    def _series(self, element: "_Element") -> None:
        if not self._root:
            parent = element.getparent()
            self._root = {} if parent is None else texts_of(parent)
        if not self._root.get("type"):
            raise Refusal(Verdict("schema_drift", "the document has no type"))
        periods, self._periods = self._periods, []
        if self._root.get("docStatus.value") == _WITHDRAWN:
            return
        said = texts_of(element)
        said.pop("mRID", None)  # a number inside the document
        curve = said.get("curveType", "A01")
        if curve not in _REPEATS:
            raise Refusal(Verdict("schema_drift", f"curve type {curve!r} is not known"))
        for period in periods:
            for kind in dict.fromkeys(period.kinds or ("",)):
                meta = self._meta(said, period.resolution, kind)
                points = _points(meta.key, period, kind, repeats=_REPEATS[curve])
                self._found.curves.add(points)

    def _meta(self, said: Mapping[str, str], resolution: str, kind: str) -> SeriesMeta:
        """Name a series, once however many time series a document cuts it into."""
        told = (tuple(said.items()), resolution, kind)
        meta = self._named.get(told)
        if meta is None:
            meta = series_of(self._root, said, resolution, kind)
            self._named[told] = meta
            self._found.placed &= bool(areas_of({**self._root, **said}))
            known = self._found.series.setdefault(meta.key, meta)
            if known.unit != meta.unit:
                told_twice = f"{meta.key} comes in {known.unit} and in {meta.unit}"
                raise Refusal(Verdict("schema_drift", told_twice))
        return meta


def _points(key: str, period: Period, kind: str, *, repeats: bool) -> Points:
    """Return the points of one of the series that a period holds."""
    step = step_of(period.resolution)
    if step is None:
        detail = f"resolution {period.resolution!r} is not known"
        raise Refusal(Verdict("schema_drift", detail))
    columns: tuple[Any, ...] = (period.positions, period.values, period.rows)
    if period.kinds is not None:
        which = [n for n, each in enumerate(period.kinds) if each == kind]
        columns = tuple([column[n] for n in which] for column in columns)
    return Points(key, period.begin, period.end, step, repeats, *columns)
