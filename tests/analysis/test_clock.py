from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analysis.clock import all_clock_steps, clock_steps

HOUR_S = 3600.0


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "UTC"]
)
def test_all_offsets_at_once_are_those_one_by_one(zone):
    times = np.datetime64("2023-01-01", "us") + np.arange(
        0, 17_520, 7
    ) * np.timedelta64(30, "m")
    place = ZoneInfo(zone)
    one_by_one = [clock_steps(time, zone=place, step_s=1800.0) for time in times]
    together = all_clock_steps(times, zone=place, step_s=1800.0)
    np.testing.assert_array_equal(together, one_by_one)


def test_the_clock_moves_at_the_hour_it_moves():
    berlin = ZoneInfo("Europe/Berlin")
    before, after = np.datetime64("2024-03-31T00:59"), np.datetime64("2024-03-31T01:00")
    assert clock_steps(before, zone=berlin, step_s=HOUR_S) == 1
    assert clock_steps(after, zone=berlin, step_s=HOUR_S) == 2


def test_days_and_times_no_clock_knows_keep_utc():
    berlin = ZoneInfo("Europe/Berlin")
    day = np.datetime64("2024-07-01")
    assert clock_steps(day, zone=berlin, step_s=24 * HOUR_S) == 0
    far = np.datetime64("-4000-01-01", "s")
    assert clock_steps(far, zone=berlin, step_s=HOUR_S) == 0
