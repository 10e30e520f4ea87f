"""What may be declared, and what does not fit together."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import InvalidLayout
from ingest.frequency import parse_step
from ingest.layout import UploadLayout


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("1h", 1),
        ("H", 1),
        ("PT1H", 1),
        ("30min", 0.5),
        ("15T", 0.25),
        ("1D", 24),
        ("P1W", 168),
        ("P1DT12H", 36),
        ("PT90S", 0.025),
        ("3600s", 1),
    ],
)
def test_steps_are_read_as_people_write_them(text, hours):
    assert parse_step(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "P", "PT", "0h", "1M", "P1M", "1 month", "-1h"])
def test_what_has_no_fixed_length_is_no_step(text):
    with pytest.raises(InvalidLayout, match="not a step of fixed length"):
        parse_step(text)


@given(st.integers(1, 999), st.sampled_from(["s", "min", "h", "d", "w"]))
def test_a_pandas_offset_and_its_iso_duration_are_one_step(count, unit):
    iso = {"s": "PT{}S", "min": "PT{}M", "h": "PT{}H", "d": "P{}D", "w": "P{}W"}[unit]
    assert parse_step(f"{count}{unit}") == parse_step(iso.format(count))


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"timezone": "Mars/Olympus"}, "not a time zone"),
        ({"timezone": "../etc"}, "not a time zone"),
        ({"stamp": "end"}, "how long is an interval"),
        ({"delimiter": "\n"}, "not a single character"),
        ({"delimiter": ";;"}, "not a single character"),
        ({"ts_column": "value"}, "cannot be two things"),
    ],
)
def test_a_layout_that_does_not_fit_together_is_refused(declared, words):
    with pytest.raises(InvalidLayout, match=words):
        UploadLayout("csv", **declared)
