"""What the owner of a file declares about it; nothing of this is ever guessed."""

import zoneinfo
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from ingest.errors import InvalidLayout
from ingest.frequency import parse_step

Format = Literal["csv", "ndjson", "parquet", "arrow"]

MISSING = ("", "null")
"""Texts that mean "no value" in every file, beside the format's own null."""


@dataclass(frozen=True)
class UploadLayout:
    """The columns of a file, and how its times and numbers are to be understood.

    Attributes:
        format: csv, ndjson, parquet or arrow (the IPC stream or file).
        series_column: the column of series keys; not read if ``series_key`` is given.
        series_key: the one series that all rows belong to.
        ts_column: the column of times.
        value_column: the column of values.
        timezone: where times without an offset were read off the wall; None rejects
            them.
        stamp: whether a time is the start or the end of its interval. Forebay stores
            starts: an end is moved back by one step of wall-clock time, once.
        frequency: the step, needed for ``stamp="end"``.
        ambiguous: an hour that the clocks ran through twice in autumn: "infer" takes
            two rows of a series with the same time as summer time and then standard
            time (the other way round in files that run backwards), "reject" lists
            them.
        delimiter: between the cells of a CSV file.
        decimal: the decimal mark of numbers in text.
        missing: further texts or numbers that mean "no value", such as "-999".
    """

    format: Format
    series_column: str = "series"
    series_key: str | None = None
    ts_column: str = "ts"
    value_column: str = "value"
    timezone: str | None = None
    stamp: Literal["start", "end"] = "start"
    frequency: str | None = None
    ambiguous: Literal["infer", "reject"] = "infer"
    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.timezone is not None:
            check_zone(self.timezone)
        if self.frequency is not None:
            parse_step(self.frequency)
        elif self.stamp == "end":
            message = "stamp 'end' needs the frequency: how long is an interval?"
            raise InvalidLayout(message)
        if len(self.delimiter) != 1 or self.delimiter in "\r\n\"'":
            message = f"the delimiter {self.delimiter!r} is not a single character"
            raise InvalidLayout(message)
        if len(set(self.columns)) != len(self.columns):
            message = f"one column cannot be two things: {', '.join(self.columns)}"
            raise InvalidLayout(message)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read, in the order series (if any), time, value."""
        key = () if self.series_key is not None else (self.series_column,)
        return (*key, self.ts_column, self.value_column)

    @property
    def step(self) -> timedelta | None:
        """The length of an interval, if it was declared."""
        return None if self.frequency is None else parse_step(self.frequency)

    @property
    def back(self) -> timedelta:
        """How far a time lies after the start of its interval."""
        return (self.step if self.stamp == "end" else None) or timedelta(0)


def check_columns(present: list[str], layout: UploadLayout, *, hint: str = "") -> None:
    """Raise unless all declared columns are there, once each.

    Raises:
        InvalidLayout: a column is missing (all that are present are named) or double.
    """
    for name in layout.columns:
        if present.count(name) == 1:
            continue
        fault = "is there more than once" if name in present else "is missing"
        message = (
            f"column {name!r} {fault} (missing_column); "
            f"the file has: {', '.join(map(repr, present[:50]))}{hint}"
        )
        raise InvalidLayout(message)


def check_zone(name: str) -> None:
    """Refuse a time zone that there is not.

    Raises:
        InvalidLayout: there is none of the name.

    Example:
        >>> check_zone("Europe/Paris")
    """
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"{name!r} is not a time zone such as Europe/Paris or UTC"
        raise InvalidLayout(message) from error
