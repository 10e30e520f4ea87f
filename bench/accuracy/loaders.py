"""The shelf of collections: name, files, and the function that loads them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.accuracy import competitions, rolling
from bench.accuracy.windows import Collection, Cut


@dataclass(frozen=True)
class Source:
    """A collection that can be loaded when its file is there."""

    name: str
    file: str
    load: Callable[[Path, Cut], Collection]


SOURCES = (
    Source("m4-hourly", "m4_hourly.csv.gz", competitions.m4_hourly),
    Source("m4-weekly", "m4_weekly.csv.gz", competitions.m4_weekly),
    *(
        Source(f"m3-{period}", "m3.csv.gz", partial(competitions.m3, period=period))
        for period in ("yearly", "quarterly", "monthly", "other")
    ),
    Source("nn5-daily", "nn5_daily.csv.gz", competitions.nn5_daily),
    Source(
        "gefcom2012",
        "gefcom2012_load_zones1to10.csv.gz",
        partial(rolling.gefcom_load, weather=False),
    ),
    Source(
        "gefcom2012-weather",
        "gefcom2012_load_zones1to10.csv.gz",
        partial(rolling.gefcom_load, weather=True),
    ),
    Source("pjm-hourly", "pjm_hourly.csv.gz", rolling.pjm_hourly),
    Source("etth1", "ETTh1.csv.gz", rolling.etth1),
    Source("ercot-zones", "ercot_zones.csv.gz", rolling.ercot_zones),
    Source("taylor-halfhourly", "taylor_halfhourly.csv.gz", rolling.taylor_halfhourly),
    Source("india-states", "india_states_daily.csv.gz", rolling.india_states),
    Source("opsd-germany", "opsd_germany_daily.csv.gz", rolling.opsd_germany),
    Source(
        "tourism-australia", "australian_tourism_hier.csv.gz", rolling.tourism_australia
    ),
    Source("m5-sample", "m5_small.csv.gz", rolling.m5_sample),
)
