"""Times: text, timestamps and dates to UTC instants, through wall-clock time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import INSTANT, WALL
from ingest.columns import Fault, any_true, cast_or_null, false, is_text
from ingest.errors import InvalidLayout
from ingest.layout import UploadLayout

_DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_CLOCK = r"[T ]([01]\d|2[0-3])"
_REST = r"(:[0-5]\d(\.\d{1,6})?)?"
_NAIVE = _DATE + r"(" + _CLOCK + r"(:[0-5]\d" + _REST + r")?)?$"
_AWARE = _DATE + _CLOCK + r"(:[0-5]\d" + _REST + r")?(Z|[+-]\d{2}(:?[0-5]\d)?)$"
_DAY = timedelta(days=1)
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@dataclass(frozen=True)
class Times:
    """Starts of intervals.

    Attributes:
        instants: UTC, null where faulty; the earlier one where ambiguous.
        later: the later instant where ambiguous, else the same; None if none is.
        wall: wall-clock times in the declared zone, null for times with an offset.
        ambiguous: the times the clocks ran through twice; no nulls.
        faults: what is wrong with the others.
    """

    instants: pa.Array
    later: pa.Array | None
    wall: pa.Array | None
    ambiguous: pa.BooleanArray
    faults: tuple[Fault, ...]


def parse_times(column: pa.Array, layout: UploadLayout) -> Times:
    """Read a column of times.

    Args:
        column: texts in ISO 8601, timestamps or dates, shape (n,).
        layout: the zone of times without an offset, and whether times are ends.

    Returns:
        Instants of shape (n,), in UTC and microseconds.

    Raises:
        InvalidLayout: the column holds numbers or something else that is not a time.
    """
    aware, naive, bad = _split(column, layout)
    faults = [bad]
    aware = _start_of(aware, layout)
    if naive is None or naive.null_count == len(naive):
        return _bounded(Times(aware, None, None, false(len(column)), ()), faults)
    if layout.timezone is None:
        undeclared = Fault(naive.is_valid(), "time_without_offset", _explain_naive)
        faults.append(undeclared)
        return _bounded(Times(aware, None, None, false(len(column)), ()), faults)
    wall = pc.subtract(naive, pa.scalar(layout.back, pa.duration("us")))
    local = _localised(wall, layout.timezone, faults)
    instants = pc.coalesce(aware, local.instants)
    return _bounded(Times(instants, local.later, wall, local.ambiguous, ()), faults)


def _split(
    column: pa.Array, layout: UploadLayout
) -> tuple[pa.Array, pa.Array | None, Fault]:
    """Return the times with an offset, those without (either null), and the bad."""
    kind = column.type
    if is_text(kind):
        return _split_text(column)
    if pa.types.is_date(kind):
        column, kind = column.cast(WALL), WALL
    if not pa.types.is_timestamp(kind):
        hint = " (numbers such as epoch seconds are not accepted)"
        message = (
            f"column {layout.ts_column!r} holds {kind}, not times"
            f"{hint if pa.types.is_integer(kind) else ''}: "
            "store it as a timestamp or as ISO 8601 text"
        )
        raise InvalidLayout(message)
    target = INSTANT if kind.tz else WALL
    times = cast_or_null(column, target)
    bad = Fault(times.is_null(), "bad_time", _explain_bad)
    if kind.tz:
        return times, None, bad
    return pa.nulls(len(times), INSTANT), times, bad


def _split_text(text: pa.Array) -> tuple[pa.Array, pa.Array | None, Fault]:
    none_bad = Fault(false(len(text)), "bad_time", _explain_bad)
    if not text.null_count:
        try:
            return text.cast(INSTANT), None, none_bad
        except pa.ArrowInvalid:
            pass  # not all of them carry an offset
        try:
            return pa.nulls(len(text), INSTANT), text.cast(WALL), none_bad
        except pa.ArrowInvalid:
            pass  # mixed or bad: look at each kind by itself
    trimmed = pc.utf8_trim_whitespace(text)
    # .NET writes seven digits and others nine; zeros beyond microseconds say nothing.
    trimmed = pc.replace_substring_regex(trimmed, r"(\.\d{6})0+", r"\1")
    aware = _matching(trimmed, _AWARE, INSTANT)
    naive = _matching(trimmed, _NAIVE, WALL)
    bad = pc.and_(aware.is_null(), naive.is_null())
    return aware, naive, Fault(bad, "bad_time", _explain_bad)


def _matching(text: pa.Array, pattern: str, kind: pa.DataType) -> pa.Array:
    matches = pc.fill_null(pc.match_substring_regex(text, pattern), fill_value=False)
    text = pc.if_else(matches, text, pa.scalar(None, text.type))
    # Arrow's strptime takes 30 February for 1 March, which gives it away.
    date = pc.strptime(
        pc.utf8_slice_codeunits(text, 0, 10), format="%Y-%m-%d", unit="s"
    )
    day = pc.utf8_slice_codeunits(text, 8, 10).cast(pa.int64())
    real = pc.fill_null(pc.equal(pc.day(date), day), fill_value=False)
    return cast_or_null(pc.if_else(real, text, pa.scalar(None, text.type)), kind)


def _start_of(aware: pa.Array, layout: UploadLayout) -> pa.Array:
    """Move ends of intervals back; days are days of the declared zone's calendar."""
    step = pa.scalar(layout.back, pa.duration("us"))
    if not layout.back:
        return aware
    if layout.timezone is None or layout.back % _DAY:
        return pc.subtract(aware, step)
    wall = pc.local_timestamp(aware.cast(pa.timestamp("us", layout.timezone)))
    return pc.assume_timezone(
        pc.subtract(wall, step),
        layout.timezone,
        ambiguous="earliest",
        nonexistent="latest",
    ).cast(INSTANT)


def _localised(wall: pa.Array, zone: str, faults: list[Fault]) -> Times:
    """Turn wall-clock times into instants; add the ones that no clock showed."""
    earlier, later = (
        pc.assume_timezone(wall, zone, ambiguous=side, nonexistent=side)
        for side in ("earliest", "latest")
    )
    differs = pc.fill_null(pc.not_equal(earlier, later), fill_value=False)
    instants = earlier.cast(INSTANT)
    if not any_true(differs):
        return Times(instants, None, wall, differs, ())
    skipped = pc.not_equal(pc.local_timestamp(earlier), wall)
    skipped = pc.fill_null(skipped, fill_value=False)
    faults.append(Fault(skipped, "nonexistent_time", _explain_skipped(zone)))
    instants = pc.if_else(skipped, pa.scalar(None, INSTANT), instants)
    ambiguous = pc.and_not(differs, skipped)
    return Times(instants, later.cast(INSTANT), wall, ambiguous, ())


def _bounded(times: Times, faults: list[Fault]) -> Times:
    """Take out what lies outside the years that RFC 3339 can write."""
    inside = pc.and_(
        pc.greater_equal(times.instants, pa.scalar(_FIRST, INSTANT)),
        pc.less_equal(times.instants, pa.scalar(_LAST, INSTANT)),
    )
    inside = pc.fill_null(inside, fill_value=True)
    instants = times.instants
    if not pc.all(inside, min_count=0).as_py():
        faults.append(Fault(pc.invert(inside), "bad_time", _explain_bad))
        instants = pc.if_else(inside, instants, pa.scalar(None, INSTANT))
    return Times(
        instants,
        times.later,
        times.wall,
        pc.and_(times.ambiguous, inside),
        tuple(fault for fault in faults if any_true(fault.mask)),
    )


def _explain_bad(text: str) -> str:
    if not text.strip():
        return "the time is empty"
    if text.strip().lstrip("+-").replace(".", "", 1).isdigit():
        return (
            f"time {text!r} is a number: epoch seconds are not accepted, "
            "write ISO 8601 such as 2026-03-01T06:00:00Z"
        )
    return (
        f"time {text!r} is not ISO 8601 such as 2026-03-01T06:00:00Z, at most to the "
        "microsecond, in the years 1 to 9999"
    )


def _explain_naive(text: str) -> str:
    return (
        f"time {text!r} has no offset: write one, such as Z or +01:00, or declare the "
        "timezone of the file, such as America/New_York or UTC"
    )


def _explain_skipped(zone: str) -> Callable[[str], str]:
    def explain(text: str) -> str:
        return (
            f"time {text!r}: no clock in {zone} showed the start of that interval, "
            "spring forward skipped it; check the timezone and the stamp"
        )

    return explain
