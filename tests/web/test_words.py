"""What the console says of rows, in words."""

import pytest

from web import words


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1h", "1 hour"),
        ("PT1H", "1 hour"),
        ("h", "1 hour"),
        ("15min", "15 minutes"),
        ("PT15M", "15 minutes"),
        ("P1D", "1 day"),
        ("D", "1 day"),
        ("B", "1 working day"),
        ("W-SUN", "1 week"),
        ("MS", "1 month"),
        ("BME", "1 month"),
        ("P1M", "1 month"),
        ("QE", "1 quarter"),
        ("P1DT12H", "1 day 12 hours"),
        ("fortnight", "fortnight"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_step_is_said_the_same_however_it_was_written(written, said):
    assert words.step(written) == said


@pytest.mark.parametrize(
    ("done", "total", "unit", "said"),
    [
        (272_384, 272_384, "bytes", "266 KiB"),
        (0, 2_097_152, "bytes", "0 bytes of 2.0 MiB"),
        (1_000, 20_000, "series", "1,000 of 20,000 series"),
    ],
)
def test_progress_is_in_units_that_people_read(done, total, unit, said):
    assert words.progress({"done": done, "total": total, "unit": unit}) == said


def test_no_progress_is_nothing():
    assert words.progress(None) == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1_234_567.891, "1,234,568"),
        (15_210.44, "15,210"),
        (-0.000123456, "-0.00012346"),
        (0.0, "0"),
        (17_569, "17,569"),
        (None, "n/a"),
    ],
)
def test_a_number_has_five_digits_that_count_and_marks_its_thousands(value, said):
    assert words.number(value) == said
