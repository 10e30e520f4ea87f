"""The collections of forecasting competitions, with their official test parts."""

from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # 2.3 ships no types

from bench.accuracy.windows import Collection, Cut, Window, synthetic_times
from forecasting.arrays import FloatArray

# Competition series came without dates. Years fit from here; hours need not.
_LONG_AGO, _START = "1950-01-01", "2000-01-01"
_UNDATED = "no timestamps, so the times are made up"


def m4_hourly(folder: Path, cut: Cut) -> Collection:
    """Load the hourly series of the M4 competition."""
    return Collection(
        name="m4-hourly",
        title="M4 Hourly",
        frequency="1h",
        season=24,
        long_season=168,
        scale_season=24,
        horizon=48,
        metric="OWA",
        panels=(_undated(folder / "m4_hourly.csv.gz", cut, frequency="1h"),),
        claims=_m4_claims(folder, cut, frequency="Hourly"),
        aim=0.385,
        told=f"half of the 414 series, {_UNDATED}; published: best entry, all 414",
    )


def m4_weekly(folder: Path, cut: Cut) -> Collection:
    """Load the weekly series of the M4 competition; their MASE is scaled with 1."""
    return Collection(
        name="m4-weekly",
        title="M4 Weekly",
        frequency="W",
        season=52,
        scale_season=1,
        horizon=13,
        metric="OWA",
        panels=(_undated(folder / "m4_weekly.csv.gz", cut, frequency="W"),),
        claims=_m4_claims(folder, cut, frequency="Weekly"),
        aim=0.70,
        told=f"half of the 359 series, {_UNDATED}; MASE scaled with season 1 as in M4; "
        "published: best entry, all 359",
    )


_M3 = {
    "yearly": ("YS", 1, 0.84),
    "quarterly": ("QS", 4, 0.865),
    "monthly": ("MS", 12, 0.79),
    "other": ("YS", 1, 0.64),
}


def m3(folder: Path, cut: Cut, *, period: str) -> Collection:
    """Load the M3 series of a period, and the 24 published methods' forecasts."""
    frequency, season, aim = _M3[period]
    rows = pd.read_csv(folder / "m3.csv.gz")
    rows = rows[rows["period"] == period]
    panel = _panel(rows, cut, frequency=frequency)
    published = {} if cut.validation else _m3_published(folder, panel)
    naive2 = published.get("NAIVE2")
    if naive2 is not None:
        panel = tuple(
            Window(**{**vars(window), "naive2": row})
            for window, row in zip(panel, naive2, strict=True)
        )
    return Collection(
        name=f"m3-{period}",
        title=f"M3 {period.capitalize()}",
        frequency=frequency,
        season=season,
        scale_season=season,
        horizon=panel[0].actual.size,
        metric="OWA",
        panels=(panel,),
        published=published,
        aim=aim,
        told=f"half of the series, {_UNDATED}; published: best of the 24 original "
        "methods on the same series; Naive2 is the published one",
    )


def _m3_published(folder: Path, panel: tuple[Window, ...]) -> dict[str, FloatArray]:
    rows = pd.read_csv(folder / "m3_published_forecasts.csv.gz")
    names = [window.unique_id for window in panel]
    steps = [f"h{step + 1}" for step in range(panel[0].actual.size)]
    found = {}
    for method, part in rows.groupby("method"):
        table = part.set_index("unique_id")[steps].reindex(names).to_numpy(float)
        if not np.isnan(table).any():
            found[str(method)] = table
    return found


def nn5_daily(folder: Path, cut: Cut) -> Collection:
    """Load the daily withdrawals of the NN5 competition, with their gaps."""
    return Collection(
        name="nn5-daily",
        title="NN5 Daily",
        frequency="D",
        season=7,
        scale_season=7,
        horizon=56,
        metric="OWA",
        panels=(_undated(folder / "nn5_daily.csv.gz", cut, frequency="D"),),
        aim=0.455,
        told=f"52 of the 111 series, {_UNDATED}; real gaps, filled "
        "by `forecasting.grid.regularise` for the bare models; OWA against our "
        "Naive2, which is the plain naive for the 42 series with zeros",
    )


def _undated(path: Path, cut: Cut, *, frequency: str) -> tuple[Window, ...]:
    return _panel(pd.read_csv(path), cut, frequency=frequency)


def _panel(rows: pd.DataFrame, cut: Cut, *, frequency: str) -> tuple[Window, ...]:
    series = dict(tuple(rows.groupby("unique_id", sort=False)))
    names = cut.chosen(list(series))
    return tuple(_window(name, series[name], cut, frequency) for name in names)


def _window(name: str, rows: pd.DataFrame, cut: Cut, frequency: str) -> Window:
    values = rows["y"].to_numpy(float)
    horizon = int(rows["is_test"].sum())
    naive2 = rows["naive2"].to_numpy(float)[-horizon:] if "naive2" in rows else None
    if cut.validation:
        values, naive2 = values[:-horizon], None
    start = _LONG_AGO if frequency in {"YS", "QS", "MS"} else _START
    known = values.size - horizon
    return Window(
        unique_id=name,
        history=values[:known],
        times=synthetic_times(known, frequency, start=start),
        actual=values[known:],
        naive2=naive2,
    )


def _m4_claims(folder: Path, cut: Cut, *, frequency: str) -> dict[str, float]:
    path = folder / "published" / "published_m4.csv"
    if cut.validation or not path.exists():
        return {}
    rows = pd.read_csv(path)
    rows = rows[(rows["metric"] == "OWA") & (rows["frequency"] == frequency)]
    return {_entry(row.id, row.method): float(row.value) for row in rows.itertuples()}


def _entry(number: object, method: str) -> str:
    """Return the authors of an entry, or the name of a benchmark of M4's own."""
    authors = method.split(" (", maxsplit=1)[0]
    return str(number) if authors == "-" else authors
