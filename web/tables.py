"""Small tables of figures that a page shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from web.words import number

MOST_ROWS = 50


@dataclass(frozen=True)
class Cell:
    """What a cell says; with an address it is a link."""

    text: str
    href: str | None = None
    is_number: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a title; ``left`` rows are not shown."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    left: int = 0


def stretch(one: Mapping[str, Any]) -> str:
    """Return the window of a part of a result, or its name where it has no times."""
    if one.get("start") and one.get("end"):
        return f"{instant(one['start'])} to {instant(one['end'])}"
    return str(one.get("partition", ""))


def instant(text: str | None) -> str:
    """Return an RFC 3339 time to the minute."""
    return text[:16].replace("T", " ") if text else ""


def shares(one: Mapping[str, Any], *names: str) -> list[Cell]:
    """Return cells of numbers between 0 and 1."""
    told = [one.get(name) for name in names]
    return [figure("n/a" if said is None else f"{said:.3f}") for said in told]


def counted(value: float | None) -> Cell:
    """Return the cell of a number."""
    return figure(number(value))


def figure(text: str) -> Cell:
    """Return a cell that stands below other numbers."""
    return Cell(text, is_number=True)


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    left: int = 0,
) -> Table:
    """Return a table of the first rows; ``left`` is how many more there are besides."""
    shown = rows[:MOST_ROWS]
    return Table(title, columns, shown, left + len(rows) - len(shown))
