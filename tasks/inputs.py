"""Where the numbers of a job come from: stored series, or rows in the request."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from db.observations import KnownBy, Then
from db.session import Connection
from tasks.catalog import Params
from tasks.context import JobContext
from tasks.errors import FieldError, InvalidData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from db.series import Series

_SERIES_AT_ONCE = 250

MAX_SERIES = 1_000
MAX_ROWS = 200_000

KEY_PATTERN = r"^[a-z0-9][a-z0-9._:-]{0,199}$"
SeriesKey = Annotated[str, StringConstraints(pattern=KEY_PATTERN)]


def _instant(value: Any) -> Any:
    """Accept RFC 3339 with an offset; say what is missing where there is none."""
    if isinstance(value, datetime):
        parsed = value
    elif isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError as error:
            message = "not an RFC 3339 time such as 2026-03-01T06:00:00Z"
            raise ValueError(message) from error
    else:
        message = "a time is a string such as 2026-03-01T06:00:00Z"
        raise ValueError(message)  # noqa: TRY004 - pydantic reads ValueError only
    if parsed.tzinfo is None:
        message = "the time has no offset: write 2026-03-01T06:00:00Z or ...+01:00"
        raise ValueError(message)
    try:
        return parsed.astimezone(UTC)
    except OverflowError as error:
        message = "the time lies outside the years 1 to 9999 in UTC"
        raise ValueError(message) from error


Instant = Annotated[datetime, BeforeValidator(_instant)]


_OFFSET = r"(?:[1-9]\d{0,5})?(?:s|min|h|H|d|D|B|W(?:-[A-Z]{3})?|B?M[SE]?|[QY][SE]?)"
# Years and months have no fixed length, so they do not mix with days and hours.
_DURATION = (
    r"P(?=.)(?:[1-9]\d{0,5}[YMW]|(?:[1-9]\d{0,5}D)?(?:T(?:[1-9]\d{0,5}[HMS])+)?)"
)
_FREQUENCY = re.compile(f"{_OFFSET}|{_DURATION}")


def _frequency(text: str) -> str:
    """Refuse what no room could read; what a step means is for the rooms to say."""
    if not _FREQUENCY.fullmatch(text):
        message = "not a frequency such as 1h, 15min, D, W, MS, or PT1H"
        raise ValueError(message)
    return text


Frequency = Annotated[str, Field(max_length=20), AfterValidator(_frequency)]


class TagSelection(Params):
    """All series that carry a tag."""

    tag: str = Field(min_length=1, max_length=200)


class SourceSelection(Params):
    """All series that a source fills."""

    source: str = Field(min_length=1, max_length=100)


def _selection(given: object) -> object:
    """Refuse once what is none of the ways to select, not once for each way."""
    ways = (list, tuple, TagSelection, SourceSelection, type(None))
    named = isinstance(given, dict) and not {"tag", "source"}.isdisjoint(given)
    if named or isinstance(given, ways):
        return given
    message = 'give a list of keys, such as ["a", "b"], or {"tag": "..."}, or '
    message += '{"source": "..."}'
    raise ValueError(message)


class Row(Params):
    """One observation in the request; ``y`` null is a missing value."""

    unique_id: str = Field(default="series", min_length=1, max_length=200)
    ds: Instant
    y: float | None


class SeriesParams(Params):
    """The part of the params that selects what to work on."""

    series: Annotated[
        Annotated[list[SeriesKey], Field(min_length=1, max_length=MAX_SERIES)]
        | TagSelection
        | SourceSelection
        | None,
        BeforeValidator(_selection),
    ] = Field(default=None, description="Keys of stored series, a tag, or a source.")
    data: Annotated[list[Row], Field(min_length=1, max_length=MAX_ROWS)] | None = Field(
        default=None, description="Rows to work on; nothing of them is kept."
    )
    frequency: Frequency | None = Field(
        default=None,
        description="Step between observations, such as 1h or PT1H; "
        "by default that of the series, else the most common step.",
    )
    as_of: Instant | None = Field(
        default=None, description="Use only what was known at this instant."
    )
    known_by: KnownBy = Field(
        default="published",
        description="published: a value was known since it was published. received: "
        "only once it was stored here as well, which repeats what was read then.",
    )

    @property
    def then(self) -> Then:
        """As known when, and by what."""
        return {"as_of": self.as_of, "known_by": self.known_by}

    @property
    def in_order(self) -> bool:
        """Whether rows have to ascend; not where a rule for duplicates orders them."""
        return True

    @model_validator(mode="after")
    def _exactly_one_source(self) -> "SeriesParams":
        if (self.series is None) == (self.data is None):
            message = "give either series or data"
            raise ValueError(message)
        if self.data is not None:
            if self.in_order:
                _check_order(self.data)
            _check_values(self.data)
            if self.as_of is not None:
                message = "as_of needs stored series: inline data has no versions"
                raise ValueError(message)
        return self


def _check_order(rows: list[Row]) -> None:
    """Refuse times that repeat or run backwards."""
    latest: dict[str, datetime] = {}
    for number, row in enumerate(rows):
        before = latest.get(row.unique_id)
        if before is not None and row.ds <= before:
            fault = "repeats a time" if row.ds == before else "goes back in time"
            message = (
                f"row {number} ({row.unique_id}, {row.ds.isoformat()}) {fault}: "
                "sort each series by ds and keep one row for each time"
            )
            raise ValueError(message)
        latest[row.unique_id] = row.ds


def _check_values(rows: list[Row]) -> None:
    """Refuse series without any value."""
    valued: dict[str, bool] = {}
    for row in rows:
        valued[row.unique_id] = valued.get(row.unique_id, False) or row.y is not None
    if empty := sorted(name for name, any_value in valued.items() if not any_value):
        message = f"all values of {', '.join(empty[:5])} are missing"
        raise ValueError(message)


@dataclass(frozen=True)
class Input:
    """One series to work on; values may hold NaN.

    Times ascend, unless a rule for duplicates is to put inline rows in order.
    """

    unique_id: str
    series_id: int | None
    frequency: str | None
    times: "NDArray[np.datetime64]"
    values: "NDArray[np.float64]"
    unit: str = ""


def inputs(params: SeriesParams, context: JobContext) -> Iterator[tuple[int, Input]]:
    """Yield (how many there are in all, the next input), reading as it goes.

    Raises:
        InvalidData: a series does not exist, or no series carries the tag.
    """
    if params.data is not None:
        yield from _inline(params.data, params.frequency)
        return
    wanted = selected(params, context)
    done = 0
    while done < len(wanted):
        some = wanted[done : done + _SERIES_AT_ONCE]
        read = _read(some, params, context)
        for one, (times, values) in zip(some, read, strict=False):
            frequency = params.frequency or one.frequency
            unit = one.unit or ""
            yield len(wanted), Input(one.key, one.id, frequency, times, values, unit)
        done += len(read)


def _read(
    some: "list[Series]", params: SeriesParams, context: JobContext
) -> "list[tuple[NDArray[np.datetime64], NDArray[np.float64]]]":
    """Read the first ones of some series, as many as memory should hold."""
    from db import observations

    with context.read() as connection:
        found = observations.read_many(
            connection, series_ids=[one.id for one in some], **params.then
        )
    return list(found.values())


def selected_keys(params: SeriesParams, context: JobContext) -> list[str]:
    """Return the keys of the stored series that the params select.

    Raises:
        InvalidData: a series does not exist, or no series carries the tag.
    """
    return [one.key for one in selected(params, context)]


def selected(params: SeriesParams, context: JobContext) -> "list[Series]":
    """Return the stored series that the params select, each once.

    Raises:
        InvalidData: a series does not exist, or no series carries the tag.
    """
    with context.read() as connection:
        return _selected(params, context, connection)


def _selected(
    params: SeriesParams, context: JobContext, connection: Connection
) -> "list[Series]":
    from db import series

    if isinstance(params.series, TagSelection):
        found = series.with_tag(
            connection, tenant_id=context.tenant_id, tag=params.series.tag
        )
        if not found:
            detail = f"no series carries the tag {params.series.tag!r}"
            raise InvalidData(detail, (FieldError("/params/series/tag", detail),))
        return found
    if isinstance(params.series, SourceSelection):
        found = series.of_source(
            connection, tenant_id=context.tenant_id, source=params.series.source
        )
        if not found:
            detail = f"no source {params.series.source!r} has filled a series"
            raise InvalidData(detail, (FieldError("/params/series/source", detail),))
        return found
    keys = params.series or []
    by_key = series.find_many(connection, tenant_id=context.tenant_id, keys=keys)
    errors = tuple(
        FieldError(f"/params/series/{number}", f"no series {key}")
        for number, key in enumerate(keys)
        if key not in by_key
    )
    if errors:
        raise InvalidData(errors[0].detail, errors)
    return [by_key[key] for key in dict.fromkeys(keys)]


def _inline(rows: list[Row], frequency: str | None) -> Iterator[tuple[int, Input]]:
    import numpy as np

    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.unique_id, []).append(row)
    for name, members in grouped.items():
        yield (
            len(grouped),
            Input(
                name,
                None,
                frequency,
                np.array([row.ds.replace(tzinfo=None) for row in members], "M8[us]"),
                np.array(
                    [np.nan if row.y is None else row.y for row in members], np.float64
                ),
            ),
        )


def common_step(times: "NDArray[np.datetime64]") -> str:
    """Return the most common step between times, as a frequency such as 3600s.

    Raises:
        InvalidData: there are fewer than two times.
    """
    import numpy as np

    times = np.unique(times)
    if len(times) < 2:  # noqa: PLR2004 - a step needs two ends
        message = "one observation has no step: say the frequency"
        raise InvalidData(message)
    steps, counts = np.unique(np.diff(times), return_counts=True)
    step_us = int(steps[np.argmax(counts)] / np.timedelta64(1, "us"))
    seconds, rest_us = divmod(step_us, 1_000_000)
    return f"{step_us}us" if rest_us else f"{seconds}s"


def aware(instant: "np.datetime64") -> datetime:
    """Return a UTC datetime64 as an aware datetime."""
    moment: datetime = instant.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


def rfc3339(instant: "np.datetime64") -> str:
    """Return a UTC datetime64 as RFC 3339 with a Z."""
    return aware(instant).isoformat().replace("+00:00", "Z")
