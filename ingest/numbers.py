"""Values: text or any number type to float64, with what is missing and what is bad."""

from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from ingest.columns import Fault, any_true, cast_or_null, false, is_text
from ingest.errors import InvalidLayout
from ingest.layout import MISSING, UploadLayout

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_NOT_FINITE = r"^[+-]?(nan|inf|infinity)$"


@dataclass(frozen=True)
class Numbers:
    """Values, null where missing or faulty."""

    values: pa.Array
    missing: pa.BooleanArray
    faults: tuple[Fault, ...]


def parse_values(column: pa.Array, layout: UploadLayout) -> Numbers:
    """Read a column of values.

    Args:
        column: texts or numbers, shape (n,); null is missing.
        layout: the decimal mark and the marks of missing values.

    Returns:
        Finite float64 values, shape (n,), and masks without nulls.

    Raises:
        InvalidLayout: the column holds something else, such as truth values.
    """
    if is_text(column.type):
        return _from_text(column, layout)
    if not (
        pa.types.is_integer(column.type)
        or pa.types.is_floating(column.type)
        or pa.types.is_decimal(column.type)
        or pa.types.is_null(column.type)
    ):
        message = f"column {layout.value_column!r} holds {column.type}, not numbers"
        raise InvalidLayout(message)
    numbers = column.cast(pa.float64(), safe=False)
    missing = numbers.is_null()
    if layout.missing:
        marks = cast_or_null(pa.array(layout.missing, pa.string()), pa.float64())
        listed = pc.is_in(numbers, value_set=marks.drop_null())
        missing = pc.or_(missing, listed)
    return _finite(numbers, missing, ())


def _from_text(column: pa.Array, layout: UploadLayout) -> Numbers:
    marks = (pc.equal(column, mark) for mark in (*MISSING, *layout.missing))
    missing = pc.fill_null(reduce(pc.or_, marks), fill_value=True)
    text = pc.if_else(missing, pa.scalar(None, column.type), column)
    if layout.decimal == ".":
        try:
            return _finite(text.cast(pa.float64()), missing, ())
        except pa.ArrowInvalid:
            pass  # some row is bad or padded: look at all of them more closely
    return _closely(text, missing, layout)


def _closely(text: pa.Array, missing: pa.BooleanArray, layout: UploadLayout) -> Numbers:
    trimmed = pc.utf8_trim_whitespace(text)
    blank = pc.fill_null(pc.equal(trimmed, ""), fill_value=True)
    missing = pc.or_(missing, blank)
    if layout.decimal == ",":
        # A dot in such a file groups thousands or is a slip; neither is guessed at.
        dotted = pc.replace_substring(trimmed, ".", "?")
        trimmed = pc.replace_substring(dotted, ",", ".")
    is_number = pc.fill_null(
        pc.match_substring_regex(trimmed, _NUMBER), fill_value=False
    )
    named = pc.match_substring_regex(trimmed, _NOT_FINITE, ignore_case=True)
    named = pc.and_not(pc.fill_null(named, fill_value=False), missing)
    bad = pc.and_not(pc.invert(pc.or_(is_number, named)), missing)
    numbers = pc.if_else(is_number, trimmed, pa.scalar(None, trimmed.type))
    faults = (
        Fault(bad, "bad_value", _explain_bad),
        Fault(named, "not_finite", _explain_not_finite),
    )
    return _finite(cast_or_null(numbers, pa.float64()), missing, faults)


def _finite(
    numbers: pa.Array, missing: pa.BooleanArray, faults: tuple[Fault, ...]
) -> Numbers:
    """Take out NaN and infinities: of float columns, and numbers beyond float64."""
    endless = pc.invert(pc.fill_null(pc.is_finite(numbers), fill_value=True))
    endless = pc.and_not(endless, missing) if any_true(endless) else false(len(numbers))
    if any_true(endless):
        faults = (*faults, Fault(endless, "not_finite", _explain_not_finite))
    gone = pc.or_(endless, missing)
    values = pc.if_else(gone, pa.scalar(None, pa.float64()), numbers)
    return Numbers(values, missing, faults)


def _explain_bad(text: str) -> str:
    if "\n" in text:
        return f"value {text!r} holds a line break: is a quote left open?"
    return f"value {text!r} is not a number"


def _explain_not_finite(text: str) -> str:
    return (
        f"value {text!r} is not finite; leave it empty, or declare it as a mark of "
        "missing values"
    )
