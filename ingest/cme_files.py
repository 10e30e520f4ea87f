"""CME's settlement files: their names, their columns, and FIXML as the same columns."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from ingest.cells import Cells
from ingest.errors import InvalidFile
from ingest.exchange import Answer
from ingest.keys import number_slug
from ingest.settlements import KeyPart, Shape, month_slug, trade_day

ZONE = "America/Chicago"
_NAME = re.compile(
    r"(?P<exch>[a-z]+)\.settle\.(?:(?P<early>[es])\.)?(?P<day>\d{8})"
    r"(?:\.(?P<late>[es]))?\.(?P<form>csv|xml|txt)(?:(?<=csv)\.gz)?",
    re.IGNORECASE,
)
_LEGACY = re.compile(
    r"(?P<exch>[a-z]+)_(?:future|option)s?\.csv(?:\.gz)?", re.IGNORECASE
)
_HALF_PAST_FIVE = time(17, 30)
_PIECE = 20_000
_SETTLED = "6"
_COLUMNS = ("BIZDT", "EXCH", "ID", "SECTYP", "MMY", "PUTCALL", "STRKPX", "SETTLEPRICE")

_KNOWN = frozenset(
    {
        "SYM",
        "MATDT",
        "DESC",
        "LASTTRDDT",
        "BIDPRICE",
        "OPENINGPRICE",
        "SETTLEDELTA",
        "HIGHLIMIT",
        "LOWLIMIT",
        "DHIGHPRICE",
        "DLOWPRICE",
        "HIGHBID",
        "LOWBID",
        "PREVDAYVOL",
        "PREVDAYOI",
        "FIXINGPRICE",
        "UNDLYEXCH",
        "UNDLYID",
        "UNDLYSECTYP",
        "UNDLYMMY",
        "BANKBUSDAY",
    }
)
_KNOWN_LEGACY = frozenset(
    {
        "CONTRACT",
        "PRODUCT_DESCRIPTION",
        "OPEN",
        "HIGH",
        "HIGH_AB_INDICATOR",
        "LOW",
        "LOW_AB_INDICATOR",
        "LAST",
        "LAST_AB_INDICATOR",
        "PT_CHG",
        "EST_VOL",
        "PRIOR_VOL",
        "PRIOR_INT",
    }
)
_NO_PRICE = ("----", "UNCH", "CAB")
_BID_ASK = r"^\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*[AB]\s*$"


@dataclass(frozen=True)
class CmeName:
    """What the name of a settlement file says.

    Attributes:
        exchange: such as nymex.
        day: the trade date, or None in names that carry none.
        early: whether it is the early file, which the final one replaces.
        form: csv, xml or txt.
    """

    exchange: str
    day: date | None
    early: bool
    form: str

    @property
    def scheduled_at(self) -> datetime | None:
        """When such a file comes out: 17:30, or the midnight after, in Chicago."""
        if self.day is None:
            return None
        day = self.day if self.early else self.day + timedelta(days=1)
        at = _HALF_PAST_FIVE if self.early else time(0)
        return datetime.combine(day, at, ZoneInfo(ZONE)).astimezone(UTC)

    @property
    def midnight(self) -> datetime | None:
        """When the trade date begins, in UTC."""
        if self.day is None:
            return None
        return datetime.combine(self.day, time(0), ZoneInfo(ZONE)).astimezone(UTC)


def cme_name(name: str) -> CmeName | None:
    """Return what a file's name says, or None for another file.

    Example:
        >>> cme_name("nymex.settle.20180702.s.csv").day
        datetime.date(2018, 7, 2)
        >>> cme_name("a/comex_future.csv").exchange
        'comex'
    """
    last = name.rpartition("/")[2]
    if found := _NAME.fullmatch(last):
        day = trade_day(found["day"])
        if day is None:
            return None
        kind = (found["early"] or found["late"] or "s").lower()
        form = found["form"].lower()
        return CmeName(found["exch"].lower(), day, kind == "e", form)
    if legacy := _LEGACY.fullmatch(last):
        return CmeName(legacy["exch"].lower(), None, early=False, form="csv")
    return None


def shapes(exchange: str, cabinet: str | None) -> tuple[Shape, ...]:
    """Return the shapes of CSV files.

    Args:
        exchange: of files whose rows do not name it.
        cabinet: the price that CAB stands for, or None if it counts as no price.
    """

    def current(columns: dict[str, pa.Array]) -> None:
        columns["EXCH"] = _filled(columns.get("EXCH"), columns["BIZDT"], exchange)
        if "PUTCALL" in columns:
            columns["PUTCALL"] = _sides(columns["PUTCALL"])
        columns["SETTLEPRICE"] = _price(columns["SETTLEPRICE"], cabinet)

    def legacy(columns: dict[str, pa.Array]) -> None:
        columns["EXCH"] = _filled(None, columns["TRADEDATE"], exchange)
        columns["SECTYP"] = _filled(
            None, columns["TRADEDATE"], "OOF" if "PUT_CALL" in columns else "FUT"
        )
        columns["MMY"] = _month(columns)
        settle = columns["SETTLE"]
        if "PRIOR_SETTLE" in columns:
            same = pc.equal(pc.utf8_upper(pc.utf8_trim_whitespace(settle)), "UNCH")
            settle = pc.if_else(same, columns["PRIOR_SETTLE"], settle)
        columns["SETTLE"] = _price(settle, cabinet)

    return (
        Shape(
            ("cme",),
            "BIZDT",
            ("SETTLEPRICE",),
            (
                KeyPart("EXCH"),
                KeyPart("ID", required=True),
                KeyPart("SECTYP", required=True),
                KeyPart("MMY", month_slug),
                KeyPart("PUTCALL"),
                KeyPart("STRKPX", number_slug),
            ),
            known=_KNOWN,
            missing=_NO_PRICE,
            plain=current,
        ),
        Shape(
            ("cme",),
            "TRADEDATE",
            ("SETTLE",),
            (
                KeyPart("EXCH"),
                KeyPart("PRODUCT_SYMBOL", required=True),
                KeyPart("SECTYP"),
                KeyPart("MMY", month_slug),
                KeyPart("PUT_CALL"),
                KeyPart("STRIKE", number_slug),
            ),
            needs=frozenset({"CONTRACT_YEAR", "CONTRACT_MONTH"}),
            helps=frozenset({"CONTRACT_DAY", "PRIOR_SETTLE"}),
            known=_KNOWN_LEGACY,
            missing=_NO_PRICE,
            plain=legacy,
        ),
    )


def _filled(column: pa.Array | None, beside: pa.Array, text: str) -> pa.Array:
    if column is None:
        return pa.repeat(pa.scalar(text, pa.string()), len(beside))
    return pc.if_else(pc.equal(column, ""), text, column)


def _sides(column: pa.Array) -> pa.Array:
    said = pc.replace_substring_regex(column, r"^\s*0\s*$", "P")
    return pc.replace_substring_regex(said, r"^\s*1\s*$", "C")


def _price(column: pa.Array, cabinet: str | None) -> pa.Array:
    """Take off the letter of a bid or an offer; put in what CAB stands for."""
    plain = pc.replace_substring_regex(column, _BID_ASK, r"\1")
    if cabinet is None:
        return plain
    return pc.replace_substring_regex(plain, r"^\s*CAB\s*$", cabinet)


def _month(columns: dict[str, pa.Array]) -> pa.Array:
    parts = [columns[name] for name in ("CONTRACT_YEAR", "CONTRACT_MONTH")]
    if "CONTRACT_DAY" in columns:
        parts.append(pc.utf8_trim_whitespace(columns["CONTRACT_DAY"]))
    parts = [pc.utf8_trim_whitespace(one) for one in parts]
    return pc.binary_join_element_wise(*parts, "")


def fixml_cells(answer: Answer) -> Iterator[Cells]:
    """Yield the settlements of a FIXML file as the columns of the CSV.

    Of the prices of an instrument only the one of type 6, its settlement, is read;
    attributes may stand in any order, and elements in any namespace.

    Raises:
        InvalidFile: the XML is damaged.
    """
    from lxml import etree  # noqa: PLC0415 - who only shows schemas needs no XML

    rows: list[tuple[str, ...]] = []
    done = 0
    with answer.open() as stream:
        elements = etree.iterparse(
            stream,
            events=("end",),
            tag="{*}MktDataFull",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
        )
        try:
            for _, element in elements:
                rows.extend(_settled(element))
                element.clear(keep_tail=False)
                while element.getprevious() is not None:
                    del element.getparent()[0]
                if len(rows) >= _PIECE:
                    yield _cells(rows, done)
                    done += len(rows)
                    rows = []
        except etree.XMLSyntaxError as error:
            message = f"the XML is damaged after row {done + len(rows)}: {error}"
            raise InvalidFile(message) from error
    if rows:
        yield _cells(rows, done)


def _settled(element: Any) -> Iterator[tuple[str, ...]]:
    said: dict[str, str] = {}
    price = ""
    for child in element.iter():
        local = str(child.tag).rpartition("}")[2]
        if local == "Instrmt":
            said |= {name.upper(): text for name, text in child.attrib.items()}
        elif local == "Full" and child.get("Typ") == _SETTLED:
            price = child.get("Px", "")
    if not said:
        return
    said |= {"BIZDT": element.get("BizDt", ""), "SETTLEPRICE": price}
    said["ID"] = said.get("ID") or said.get("SYM", "")
    yield tuple(said.get(name, "") for name in _COLUMNS)


def _cells(rows: list[tuple[str, ...]], done: int) -> Cells:
    columns = {
        name: pa.array(column, pa.string())
        for name, column in zip(_COLUMNS, zip(*rows, strict=True), strict=True)
    }
    return Cells(columns, pa.arange(done + 1, done + 1 + len(rows)))
