"""Collections without an official test part: several cutoffs at the end of each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # 2.3 ships no types

from bench.accuracy.windows import Collection, Cut, Window, synthetic_times
from forecasting.arrays import FloatArray, TimeArray


@dataclass(frozen=True, kw_only=True)
class Line:
    """A whole series on its grid, with its covariates: shape (n,) and (n, columns)."""

    unique_id: str
    points: FloatArray
    times: TimeArray
    names: tuple[str, ...] = ()
    covariates: FloatArray | None = None
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cutoffs:
    """Where the test windows of a series end, counted back from its own end.

    Attributes:
        horizon: steps of a window.
        count: windows of each series.
        apart: steps from one window's end to the next.
    """

    horizon: int
    count: int
    apart: int

    def ends(self, points: int, *, validation: bool) -> list[int]:
        """Return the steps after each window's last, earliest window first.

        In validation all windows end before the first test window begins.
        """
        latest = points
        if validation:
            latest -= (self.count - 1) * self.apart + self.horizon
        return [latest - back * self.apart for back in reversed(range(self.count))]


def gefcom_load(folder: Path, cut: Cut, *, weather: bool) -> Collection:
    """Load ten zones of GEFCom2012, a week ahead, without or with temperatures."""
    rows = pd.read_csv(folder / "gefcom2012_load_zones1to10.csv.gz", parse_dates=["ds"])
    times = _us(rows["ds"])
    stations = rows[[f"temp{number}" for number in range(1, 12)]].to_numpy(float)
    outside = stations.mean(axis=1, keepdims=True) if weather else None
    lines = [
        Line(
            unique_id=f"zone{number}",
            points=rows[f"zone{number}"].to_numpy(float),
            times=times,
            names=("temperature",) if weather else (),
            covariates=outside,
        )
        for number in range(1, 11)
    ]
    known = (
        "the mean of the 11 stations is known for the week ahead as it came to be"
        if weather
        else "no temperatures"
    )
    return Collection(
        name="gefcom2012-weather" if weather else "gefcom2012",
        title="GEFCom2012 load, temperatures known" if weather else "GEFCom2012 load",
        frequency="1h",
        season=24,
        long_season=168,
        scale_season=24,
        horizon=168,
        metric="MASE",
        panels=_panels(lines, cut, Cutoffs(horizon=168, count=4, apart=13 * 168)),
        told=f"zones 1 to 10, four weeks a quarter apart; {known}",
    )


def pjm_hourly(folder: Path, cut: Cut) -> Collection:
    """Load five areas of PJM, a day ahead; the times are as in the file."""
    rows = pd.read_csv(folder / "pjm_hourly.csv.gz", parse_dates=["ds"])
    lines = [_gridded(str(n), part, "h") for n, part in rows.groupby("unique_id")]
    return Collection(
        name="pjm-hourly",
        title="PJM hourly load",
        frequency="1h",
        season=24,
        long_season=168,
        scale_season=24,
        horizon=24,
        metric="MASE",
        panels=_panels(lines, cut, Cutoffs(horizon=24, count=8, apart=45 * 24)),
        told="eight days, 45 days apart, of each area's last year; local time, the "
        "doubled hour averaged and the missing one missing",
    )


def etth1(folder: Path, cut: Cut) -> Collection:
    """Load the seven series of the transformer ETTh1."""
    rows = pd.read_csv(folder / "ETTh1.csv.gz", parse_dates=["date"])
    times = _us(rows["date"])
    lines = [
        Line(unique_id=name, points=rows[name].to_numpy(float), times=times)
        for name in rows.columns.drop("date")
    ]
    return Collection(
        name="etth1",
        title="ETTh1",
        frequency="1h",
        season=24,
        long_season=168,
        scale_season=24,
        horizon=96,
        metric="MASE",
        panels=_panels(lines, cut, Cutoffs(horizon=96, count=6, apart=20 * 24)),
        told="six stretches of four days, 20 days apart; each series by itself",
    )


def india_states(folder: Path, cut: Cut) -> Collection:
    """Load the daily consumption of India's states up to April 2020."""
    rows = pd.read_csv(folder / "india_states_daily.csv.gz", parse_dates=["ds"])
    # The first twelve days of many months carry swapped days and months, the later
    # ones do not: windows end with a month and hold its last fourteen days.
    rows = rows[rows["ds"] <= "2020-04-30"]
    lines = [
        _gridded(str(n), part, "D", attributes=(("region", part["region"].iloc[0]),))
        for n, part in rows.groupby("unique_id")
    ]
    ends = ["2019-12-31", "2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"]
    if cut.validation:
        ends = ["2019-08-31", "2019-09-30", "2019-10-31", "2019-11-30"]
    names = set(cut.chosen([line.unique_id for line in lines]))
    panels = tuple(
        tuple(
            _cut_at(line, int(np.searchsorted(line.times, np.datetime64(end))) + 1, 14)
            for line in lines
            if line.unique_id in names
        )
        for end in ends
    )
    return Collection(
        name="india-states",
        title="India's states, daily",
        frequency="D",
        season=7,
        scale_season=7,
        horizon=14,
        metric="MASE",
        panels=panels,
        told="last 14 days of December 2019 to April 2020, with the lockdown; days and "
        "months are swapped in part of the file, so later dates are left out; days "
        "with two values averaged",
    )


def opsd_germany(folder: Path, cut: Cut) -> Collection:
    """Load Germany's daily consumption, wind and solar."""
    rows = pd.read_csv(folder / "opsd_germany_daily.csv.gz", parse_dates=["Date"])
    times = _us(rows["Date"])
    lines = []
    for name in ("Consumption", "Wind", "Solar"):
        values = rows[name].to_numpy(float)
        begin = int(np.flatnonzero(~np.isnan(values))[0])
        lines.append(Line(unique_id=name, points=values[begin:], times=times[begin:]))
    return Collection(
        name="opsd-germany",
        title="OPSD Germany, daily",
        frequency="D",
        season=7,
        scale_season=7,
        horizon=28,
        metric="MASE",
        panels=_panels(lines, cut, Cutoffs(horizon=28, count=12, apart=28)),
        told="twelve times 28 days, the last 11 months of 2017; no weather",
    )


def tourism_australia(folder: Path, cut: Cut) -> Collection:
    """Load the quarterly trips to 76 regions for four purposes."""
    rows = pd.read_csv(folder / "australian_tourism_hier.csv.gz")
    keys = ["Region", "State", "Purpose"]
    lines = [
        Line(
            unique_id=" / ".join(str(word) for word in key),
            points=part["Trips"].to_numpy(float),
            times=synthetic_times(len(part), "QS", start="1998-01-01"),
            attributes=tuple(zip(keys, map(str, key), strict=True)),
        )
        for key, part in rows.groupby(keys)
    ]
    return Collection(
        name="tourism-australia",
        title="Australian tourism",
        frequency="QS",
        season=4,
        scale_season=4,
        horizon=8,
        metric="MASE",
        panels=_panels(lines, cut, Cutoffs(horizon=8, count=2, apart=8)),
        told="the 304 series at the bottom of the hierarchy, twice two years",
    )


def m5_sample(folder: Path, cut: Cut) -> Collection:
    """Load eight items of one shop of M5, with prices and events known."""
    rows = pd.read_csv(folder / "m5_small.csv.gz", parse_dates=["ds"])
    # An item is on sale from its first price on; zeros before say nothing of demand.
    rows = rows[rows["sell_price"].notna()]
    names = tuple(rows.columns.drop(["unique_id", "ds", "y"]))
    lines = [
        Line(
            unique_id=str(name),
            points=part["y"].to_numpy(float),
            times=_us(part["ds"]),
            names=names,
            covariates=part[list(names)].to_numpy(float),
        )
        for name, part in rows.groupby("unique_id")
    ]
    return Collection(
        name="m5-sample",
        title="M5 sample",
        frequency="D",
        season=7,
        scale_season=1,
        horizon=28,
        metric="RMSSE",
        panels=_panels(lines, cut, Cutoffs(horizon=28, count=6, apart=28)),
        told="eight items of one shop, six times 28 days; prices and events known; "
        "RMSSE as in M5, the mean over series without weights",
    )


def ercot_zones(folder: Path, cut: Cut) -> Collection:
    """Load a thousand hours of eight ERCOT zones, a day ahead."""
    rows = pd.read_csv(folder / "ercot_zones.csv.gz", parse_dates=["timestamp"])
    lines = [
        Line(
            unique_id=str(name),
            points=part["value"].to_numpy(float),
            times=_us(part["timestamp"]),
        )
        for name, part in rows.groupby("unique_id")
    ]
    return Collection(
        name="ercot-zones",
        title="ERCOT zones",
        frequency="1h",
        season=24,
        long_season=168,
        scale_season=24,
        horizon=24,
        metric="MASE",
        panels=_panels(lines, cut, Cutoffs(horizon=24, count=7, apart=24)),
        told="each day of the last week; 1,000 hours a zone in all",
    )


def taylor_halfhourly(folder: Path, cut: Cut) -> Collection:
    """Load twelve weeks of half-hourly demand of England and Wales."""
    rows = pd.read_csv(folder / "taylor_halfhourly.csv.gz")
    # The published series runs from Monday 5 June 2000.
    times = synthetic_times(len(rows), "30min", start="2000-06-05T00:00")
    line = Line(unique_id="demand", points=rows["y"].to_numpy(float), times=times)
    return Collection(
        name="taylor-halfhourly",
        title="Taylor half-hourly demand",
        frequency="30min",
        season=48,
        long_season=336,
        scale_season=48,
        horizon=48,
        metric="MASE",
        panels=_panels([line], cut, Cutoffs(horizon=48, count=14, apart=48)),
        told="one series, each day of the last two weeks",
    )


def _us(stamps: pd.Series) -> TimeArray:
    return stamps.to_numpy().astype("datetime64[us]")


def _gridded(
    name: str,
    rows: pd.DataFrame,
    step: str,
    *,
    attributes: tuple[tuple[str, str], ...] = (),
) -> Line:
    """Average what shares a time; leave NaN where a step is missing."""
    values = rows.groupby("ds")["y"].mean().asfreq(step)
    return Line(
        unique_id=name,
        points=values.to_numpy(float),
        times=values.index.to_numpy().astype("datetime64[us]"),
        attributes=attributes,
    )


def _panels(
    lines: list[Line], cut: Cut, cutoffs: Cutoffs
) -> tuple[tuple[Window, ...], ...]:
    names = set(cut.chosen([line.unique_id for line in lines]))
    kept = [line for line in lines if line.unique_id in names]
    ends = [cutoffs.ends(line.points.size, validation=cut.validation) for line in kept]
    return tuple(
        tuple(
            _cut_at(line, own[number], cutoffs.horizon)
            for line, own in zip(kept, ends, strict=True)
        )
        for number in range(cutoffs.count)
    )


def _cut_at(line: Line, end: int, horizon: int) -> Window:
    cutoff = end - horizon
    covariates = line.covariates
    return Window(
        unique_id=line.unique_id,
        history=line.points[:cutoff],
        times=line.times[:cutoff],
        actual=line.points[cutoff:end],
        names=line.names,
        covariates=None if covariates is None else covariates[:end],
        attributes=line.attributes,
    )
