"""Forecast a hierarchy of series, given by their attributes, so that all sums hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecasting.answers import PanelForecast, SeriesForecast
from forecasting.arrays import FloatArray
from forecasting.errors import InvalidSeries
from forecasting.forecast import forecast_panel
from forecasting.options import ForecastOptions
from forecasting.panel import PanelSeries
from forecasting.reconcile import reconcile
from forecasting.telling import Tell, nobody

TOTAL = "total"


@dataclass(frozen=True)
class Hierarchy:
    """Series and the sums above them.

    Attributes:
        nodes: the sums, widest first, then the bottom series.
        summing: which bottom series each node is the sum of, shape (nodes, bottoms).
    """

    nodes: tuple[PanelSeries, ...]
    summing: FloatArray


def build_hierarchy(
    series: Sequence[PanelSeries], *, levels: Sequence[str]
) -> Hierarchy:
    """Sum series by their attributes: all of them, then level by level.

    The levels are nested: the second divides the groups of the first. A sum is known
    at the times at which all of its series are observed.

    Args:
        series: the bottom series.
        levels: names of attributes, widest first; none gives the total alone.

    Returns:
        The hierarchy; sums are called "total", "region=north" and
        "region=north/state=x".

    Raises:
        InvalidSeries: a series lacks an attribute, a sum has the name of a series, or
            the series of a sum have no time in common.
    """
    paths = [_path(one, levels) for one in series]
    names: dict[str, list[int]] = {TOTAL: list(range(len(series)))}
    for depth in range(1, len(levels) + 1):
        for place, path in enumerate(paths):
            names.setdefault("/".join(path[:depth]), []).append(place)
    known = {one.unique_id for one in series}
    for name in names:
        if name in known:
            raise InvalidSeries(f"a series is called {name!r} like a sum: rename it")
    sums = [_sum(name, [series[p] for p in places]) for name, places in names.items()]
    summing = np.zeros((len(sums) + len(series), len(series)))
    for row, places in enumerate(names.values()):
        summing[row, places] = 1.0
    summing[len(sums) :] = np.eye(len(series))
    return Hierarchy((*sums, *series), summing)


def _path(one: PanelSeries, levels: Sequence[str]) -> list[str]:
    attributes = dict(one.attributes)
    missing = [level for level in levels if level not in attributes]
    if missing:
        raise InvalidSeries(
            f"{one.unique_id} has no attribute {missing[0]!r}: give one to every "
            "series of the hierarchy"
        )
    return [f"{level}={attributes[level]}" for level in levels]


def _sum(name: str, parts: Sequence[PanelSeries]) -> PanelSeries:
    observed = [part.times[~np.isnan(part.values)] for part in parts]
    times = observed[0]
    for other in observed[1:]:
        times = np.intersect1d(times, other)
    if not times.size:
        raise InvalidSeries(
            f"the series of {name!r} have no time in common: their sum is not known"
        )
    values = np.zeros(times.size)
    for part in parts:
        values += part.values[np.searchsorted(part.times, times)]
    return PanelSeries(name, values, times)


def forecast_hierarchy(
    hierarchy: Hierarchy,
    *,
    method: str,
    options: ForecastOptions,
    tell: Tell = nobody,
) -> PanelForecast:
    """Forecast every node and make the means agree.

    Quantiles move with their means, which keeps their width: each still stands for the
    errors of its own node.

    Args:
        hierarchy: the series and their sums.
        method: of `reconcile`.
        options: the wish.
        tell: hears of progress.

    Returns:
        The forecasts of all nodes, sums first.

    Raises:
        InvalidSeries: a series cannot be forecast, so that its sums are not known, or
            the nodes do not end together.
    """
    if options.samples:
        raise InvalidSeries(
            "samples of a hierarchy would not add up: ask for quantiles instead"
        )
    found = forecast_panel(hierarchy.nodes, options=options, tell=tell)
    if found.failed:
        name, text = found.failed[0]
        raise InvalidSeries(f"{name} cannot be forecast, nor can its sums: {text}")
    if len({one.cutoff for one in found.series}) > 1:
        late = max(found.series, key=lambda one: one.cutoff)
        early = min(found.series, key=lambda one: one.cutoff)
        raise InvalidSeries(
            f"{early.unique_id} ends at {early.cutoff} and {late.unique_id} at "
            f"{late.cutoff}: a hierarchy needs one end; fill or cut the series"
        )
    base = np.array([one.mean for one in found.series])
    coherent = reconcile(
        base,
        summing=hierarchy.summing,
        residuals=_aligned_errors(found),
        method=method,
    )
    return replace(
        found,
        series=tuple(
            _moved(one, mean) for one, mean in zip(found.series, coherent, strict=True)
        ),
    )


def _aligned_errors(found: PanelForecast) -> FloatArray:
    windows = min((len(error) for error in found.errors), default=0)
    return np.array([error[:windows].ravel() for error in found.errors])


def _moved(one: SeriesForecast, mean: FloatArray) -> SeriesForecast:
    shift = mean - one.mean
    return replace(
        one,
        mean=mean,
        quantiles={level: row + shift for level, row in one.quantiles.items()},
    )
