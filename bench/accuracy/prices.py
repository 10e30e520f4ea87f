"""Day-ahead prices: measured by ``bench.epf``, told beside the other collections."""

import hashlib
import json
import math
import resource
from pathlib import Path
from typing import Any

import numpy as np

from bench import epf
from bench.accuracy import kept
from bench.accuracy.baselines import SEASONAL_NAIVE
from bench.accuracy.measure import Plan
from forecasting.arrays import FloatArray

_MARKETS = {"epf-np": ("NP", "Nord Pool", 1.70), "epf-pjm": ("PJM", "PJM", 2.86)}
NAMES = tuple(_MARKETS)
FILES = {name: f"epf_{market}.csv.gz" for name, (market, *_) in _MARKETS.items()}
_PUBLISHED = {"lear_ens": "LEAR ensemble", "dnn_ens": "DNN ensemble"}
_MEAN = "mean of LEAR and DNN"
_BLEND = "blend"


def measure(name: str, plan: Plan) -> dict[str, Any]:
    """Return the row of a market: the blend of its members counts as ours."""
    _, title, aim = _MARKETS[name]
    market = epf.Market.read(plan.folder / FILES[name])
    days = _days(market, plan)
    lines = _kept(name, market, days, plan) if plan.auto else []
    told = {who: (error, seconds) for who, error, _, seconds in lines}
    members = ", ".join(
        f"{who} {error:.3f} in {seconds:.0f} CPU s"
        for who, (error, seconds) in told.items()
        if not math.isnan(seconds) and who != _BLEND
    )
    return {
        "name": name,
        "title": f"EPF {title}",
        "series": 1,
        "horizon": 24,
        "cutoffs": len(days),
        "metric": "MAE",
        "aim": aim,
        "told": "the toolbox's two test years day by day, with the covariates of the "
        "day ahead; in place of `auto` the blend that `python -m bench.epf` walks "
        "through; seasonal naive: the same hour of last week"
        + (f"; members: {members}" if members else ""),
        "auto": _ours(told),
        "bare": {SEASONAL_NAIVE: _naive(market, days)},
        "published": {} if plan.cut.validation else _published(market, days),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "code": kept.room_code(),
    }


def _days(market: epf.Market, plan: Plan) -> range:
    """Return the test years, or the year before; a sample takes the first days."""
    whole = market.prices.size // 24
    begin, end = market.first, whole
    if plan.cut.validation:
        begin, end = market.first - 364, market.first
    return range(begin, min(end, begin + (plan.cut.sample or whole)))


def _kept(name: str, market: epf.Market, days: range, plan: Plan) -> list[Any]:
    digest = hashlib.sha256(market.prices.tobytes() + market.covariates.tobytes())
    digest.update(f"{kept.room_code()} {days}".encode())
    digest.update(Path(epf.__file__).read_bytes())
    path = plan.cache / "forecasts" / f"{name}-{digest.hexdigest()[:16]}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(epf.measured(market, days)))
    return list(json.loads(path.read_text()))


def _ours(told: dict[str, tuple[float, float]]) -> dict[str, Any] | None:
    if _BLEND not in told:
        return None
    error, seconds = told[_BLEND]
    return {"MAE": error, "seconds": seconds, "fallbacks": 0}


def _naive(market: epf.Market, days: range) -> dict[str, Any]:
    """Return last week's prices as the seasonal naive."""
    week = range(days.start - 7, days.stop - 7)
    error = _error(market, market.actual(week), days)
    return {"MAE": error, "seconds": 0.0, "fallbacks": 0}


def _published(market: epf.Market, days: range) -> dict[str, float]:
    found = {
        word: epf.by_day(market.published[column], days)
        for column, word in _PUBLISHED.items()
        if column in market.published
    }
    if len(found) == len(_PUBLISHED):
        found[_MEAN] = np.mean(list(found.values()), axis=0)
    return {word: _error(market, mean, days) for word, mean in found.items()}


def _error(market: epf.Market, mean: FloatArray, days: range) -> float:
    return float(np.abs(market.actual(days) - mean).mean())
