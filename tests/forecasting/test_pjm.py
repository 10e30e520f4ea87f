"""The room on real hourly load: wall-clock times, two changes of the clock a year."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.forecast import ForecastOptions, PanelSeries, forecast_panel

LOADS = Path(__file__).parents[2] / "embedded" / "data" / "pjm_load.csv.gz"
DAYS_USED = 200


def comed():
    table = pd.read_csv(LOADS, parse_dates=["local_time"])
    table = table[table["series"] == "pjm.comed.load"]
    # The file names the end of each hour; only the start tells the repeated hour apart.
    start = pd.DatetimeIndex(table["local_time"] - pd.Timedelta(hours=1))
    zoned = start.tz_localize("America/New_York", ambiguous="infer")
    utc = zoned.tz_convert("UTC").tz_localize(None).to_numpy()
    return table["mw"].to_numpy(), utc.astype("datetime64[us]")


@pytest.mark.slow
def test_auto_beats_the_seasonal_naive_on_a_week_it_was_not_chosen_on():
    values, times = (column[-24 * DAYS_USED :] for column in comed())
    # Seven windows, because one day of the week says little about the others.
    options = ForecastOptions(horizon=24, frequency="1h", windows=7)
    found = forecast_panel([PanelSeries("comed", values, times)], options=options)
    answer = found.series[0]
    assert answer.warnings == ()
    assert answer.times[0] - times[-1] == np.timedelta64(1, "h")
    assert answer.evaluation.points == 7 * 24
    assert answer.evaluation.skill_vs_naive > 0
    # A week of days is seven draws; the windows of a whole season tell the coverage.
    assert found.coverage.windows >= 20
    assert np.mean(found.coverage.by_step) == pytest.approx(0.8, abs=0.06)
