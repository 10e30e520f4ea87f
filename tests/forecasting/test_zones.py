import numpy as np
import pytest

from forecasting.errors import InvalidSeries
from forecasting.zones import local_times, utc_times
from tests.forecasting.synthetic import hours


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_there_and_back_is_where_it_began_but_for_the_repeated_hour(zone):
    year = hours(24 * 366)
    back = utc_times(local_times(year, timezone=zone), timezone=zone)
    repeated = year[back != year]
    assert repeated.size == (zone == "Europe/Berlin")
    assert (back[back != year] == repeated - np.timedelta64(1, "h")).all()


def test_an_hour_that_the_clocks_skip_is_the_instant_of_the_jump():
    skipped = np.array(["2024-03-31T02:15", "2024-03-31T02:45"], "M8[us]")
    jump = np.datetime64("2024-03-31T01:00", "us")
    assert (utc_times(skipped, timezone="Europe/Berlin") == jump).all()


@pytest.mark.parametrize("zone", ["Europe/Bermuda", "", "../etc", "CEST+2"])
def test_a_zone_that_nobody_keeps_is_refused_with_advice(zone):
    with pytest.raises(InvalidSeries, match="use a name such as Europe/Berlin"):
        local_times(hours(1), timezone=zone)
