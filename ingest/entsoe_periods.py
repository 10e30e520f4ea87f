"""Reads the periods of IEC 62325 documents as they stand: bounds, texts of points."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from ingest.contract import local_key
from ingest.entsoe_zip import Refusal
from ingest.verdicts import Verdict, utc

if TYPE_CHECKING:
    from lxml.etree import _Element

PERIODS = ("Period", "Available_Period")
"""Names of elements that hold points; outages have the second."""

_VALUES = ("quantity", ".amount")
_BESIDE = ("position", "quality", ".category")
"""How the names in a point end that hold its value, and those that stand beside."""


@dataclass(frozen=True)
class Period:
    """A period as it stands; ``kinds`` tell values apart where there are several."""

    begin: datetime
    end: datetime
    resolution: str
    positions: list[str | None]
    values: list[str | None]
    rows: "range | list[int]"
    kinds: list[str] | None = None


def local_name(element: "_Element") -> str:
    """Return the name of an element without its namespace."""
    return _bare(element.tag)


@lru_cache(maxsize=1_024)
def _bare(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def texts_of(element: "_Element") -> dict[str, str]:
    """Return the texts of an element's children and grandchildren, by their names."""
    found: dict[str, str] = {}
    for child in element:
        name = local_name(child)
        if name == "TimeSeries" or name in PERIODS:
            continue
        if len(child):
            found.update({f"{name}.{n}": text for n, text in texts_of(child).items()})
        elif child.text and child.text.strip():
            found.setdefault(name, child.text.strip())
    return found


def interval_of(element: "_Element") -> tuple[datetime, datetime]:
    """Return start and end of an interval.

    Raises:
        Refusal: they cannot be read.
    """
    texts = texts_of(element)
    try:
        begin, end = utc(texts["start"]), utc(texts["end"])
    except (KeyError, ValueError, OverflowError) as error:
        detail = f"an interval cannot be read: {texts}"
        raise Refusal(Verdict("malformed", detail)) from error
    return begin, end


def period_of(element: "_Element", done: int) -> Period:
    """Read a period; the usual one has points of a position and a value each.

    Args:
        element: the period.
        done: how many points came before it.

    Raises:
        Refusal: it has no interval of its own.
    """
    resolution, bounds = "", None
    for child in element:
        name = local_name(child)
        if name == "timeInterval":
            bounds = interval_of(child)
        elif name == "resolution":
            resolution = (child.text or "").strip()
        elif name == "Point":
            break
    if bounds is None or bounds[0] >= bounds[1]:
        raise Refusal(Verdict("malformed", "a period without an interval of its own"))
    positions = [each.text for each in element.iter("{*}position")]
    values = [each.text for each in element.iter("{*}quantity", "{*}price.amount")]
    sizes = set(map(len, element.iter("{*}Point")))
    if sizes <= {2} and len(positions) == len(values):
        rows = range(done + 1, done + 1 + len(positions))
        return Period(*bounds, resolution, positions, values, rows)
    positions, values, numbers, kinds = _closely(element, done)
    return Period(*bounds, resolution, positions, values, numbers, kinds)


def _closely(
    element: "_Element", done: int
) -> tuple[list[str | None], list[str | None], list[int], list[str]]:
    """Read points that have several values, a category, or lack something.

    Raises:
        Refusal: what holds the values has another name than it had.
    """
    found: list[tuple[str | None, str | None, int, str]] = []
    others: set[str] = set()
    valued = False
    for row, point in enumerate(element.iter("{*}Point"), start=done + 1):
        texts = {local_name(child): child.text for child in point if not len(child)}
        names = [n for n in texts if n.lower().endswith(_VALUES)]
        valued = valued or bool(names)
        others |= {n for n in texts if not n.lower().endswith((*_VALUES, *_BESIDE))}
        category = next((t for n, t in texts.items() if n.endswith(".category")), None)
        kinds = [_kind(name, category) for name in names] or [""]
        for name, kind in zip(names or [""], kinds, strict=True):
            found.append((texts.get("position"), texts.get(name), row, kind))
    if others and not valued:
        told = f"points have no value, but {', '.join(sorted(others))}"
        raise Refusal(Verdict("schema_drift", told))
    return (
        [each[0] for each in found],
        [each[1] for each in found],
        [each[2] for each in found],
        [each[3] for each in found],
    )


def _kind(name: str, category: str | None) -> str:
    usual = name in {"quantity", "price.amount"}
    return local_key(None if usual else name.removesuffix(".amount"), category)
