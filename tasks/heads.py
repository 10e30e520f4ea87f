"""Results of large panels: a head that says how it went; the points are rows."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from tasks.answers import in_order
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.panels import PanelParams
from tasks.parts import merged, why_not

if TYPE_CHECKING:
    from forecasting.forecast import SeriesForecast

MOST_SERIES, MOST_POINTS = 1_000, 200_000
"""What a result holds with all its points; a larger one is a head."""
LISTED = 100
"""Series that could not be forecast, and are named in a head."""

_POOLED = ("smape", "mase", "rmsse", "wql", "coverage", "skill_vs_naive")
"""Metrics without a unit, of which a mean over series says something."""


def is_large(series: int, horizon: int) -> bool:
    """Return whether the result of so many series is a head.

    Example:
        >>> is_large(1_000, 200), is_large(1_001, 1), is_large(250, 801)
        (False, True, True)
    """
    return series > MOST_SERIES or series * horizon > MOST_POINTS


def head(
    params: PanelParams,
    context: JobContext,
    *,
    done: "Sequence[SeriesForecast]",
    failed: Sequence[Mapping[str, str]],
    panels: Iterable[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the result of a large panel, or of a part of one, without its points."""
    pool = _Pool()
    pool.add_panels(panels)
    for forecast in done:
        if forecast.evaluation is not None:
            pool.add_metrics(vars(forecast.evaluation))
    return {
        "horizon": params.horizon,
        "quantiles": params.quantiles,
        "series_total": len(done),
        "points_total": len(done) * params.horizon,
        "failed": failed[:LISTED],
        "failed_total": len(failed),
        **pool.told(),
        "points_url": f"/v1/jobs/{context.job_id}/forecasts",
    }


def merge(
    params: PanelParams, results: Iterator[Mapping[str, Any]], context: JobContext
) -> Outcome:
    """Put the parts' results together: heads to a head, else series to series.

    Raises:
        InvalidData: no series of any part gave an answer.
    """
    first = next(results)
    whole = chain([first], results)
    if "points_url" in first:
        return Outcome(_joined(whole))
    result = merged(params, whole, context).result
    return Outcome({**result, "series": in_order(params, result["series"])})


def _joined(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Join heads, one in memory at a time."""
    pool, parts = _Pool(), 0
    failed: list[Mapping[str, str]] = []
    totals = dict.fromkeys(("series_total", "points_total", "failed_total"), 0)
    whole: dict[str, Any] = {}
    for one in results:
        parts += 1
        whole = whole or {**one}
        failed += one["failed"][: LISTED - len(failed)]
        pool.add_panels(one["panels"])
        pool.add_means(one["metrics"])
        for name in totals:
            totals[name] += one[name]
    if not totals["series_total"]:
        raise InvalidData(why_not(failed))
    return {**whole, **totals, "failed": failed, **pool.told(), "parts": parts}


@dataclass
class _Share:
    """A mean that grows: the sum of what was seen, and its weight."""

    total: float = 0.0
    weight: int = 0

    def add(self, value: float | None, weight: int = 1) -> None:
        if value is not None and math.isfinite(value):
            self.total += value * weight
            self.weight += weight

    @property
    def mean(self) -> float | None:
        return self.total / self.weight if self.weight else None


@dataclass
class _Frequency:
    """What the panels of one frequency have in common."""

    first: Mapping[str, Any]
    series: int = 0
    windows: int = 0
    cpu_s: float = 0.0
    tried: dict[str, None] = field(default_factory=dict)
    beyond: dict[str, None] = field(default_factory=dict)
    coverage: Mapping[str, Any] | None = None
    shares: list[_Share] = field(default_factory=list)

    def add(self, panel: Mapping[str, Any]) -> None:
        self.series += panel["series"]
        self.windows = max(self.windows, panel["windows"])
        self.cpu_s += panel["estimated_cpu_s"]
        self.tried |= dict.fromkeys(panel["tried"])
        self.beyond |= dict.fromkeys(panel["beyond_budget"])
        if panel["coverage"] is not None:
            self.coverage = self.coverage or panel["coverage"]
            steps = panel["coverage"]["by_step"]
            self.shares = self.shares or [_Share() for _ in steps]
            for share, step in zip(self.shares, steps, strict=True):
                share.add(step, panel["series"])

    def told(self) -> dict[str, Any]:
        means = (share.mean for share in self.shares)
        steps = [None if one is None else round(one, 4) for one in means]
        return {
            **self.first,
            "series": self.series,
            "tried": [*self.tried],
            "beyond_budget": [*self.beyond],
            "windows": self.windows,
            "estimated_cpu_s": round(self.cpu_s, 3),
            "coverage": {**self.coverage, "by_step": steps} if self.coverage else None,
        }


class _Pool:
    """Panels by frequency, and metrics as means over series; small however many."""

    def __init__(self) -> None:
        self._frequencies: dict[str, _Frequency] = {}
        self._metrics = {name: _Share() for name in _POOLED}

    def add_panels(self, panels: Iterable[Mapping[str, Any]]) -> None:
        for panel in panels:
            name = panel["frequency"]
            self._frequencies.setdefault(name, _Frequency(panel)).add(panel)

    def add_metrics(self, evaluation: Mapping[str, Any]) -> None:
        for name, share in self._metrics.items():
            share.add(evaluation[name])

    def add_means(self, metrics: Mapping[str, Mapping[str, Any]]) -> None:
        for name, share in self._metrics.items():
            share.add(metrics[name]["mean"], metrics[name]["series"])

    def told(self) -> dict[str, Any]:
        return {
            "panels": [one.told() for one in self._frequencies.values()],
            "metrics": {
                name: {"mean": share.mean, "series": share.weight}
                for name, share in self._metrics.items()
            },
        }
