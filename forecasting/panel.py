"""A panel of series: each put on its grid, those that are alike kept together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TypeAlias

import numpy as np

from forecasting.arrays import FloatArray, TimeArray
from forecasting.backtest import Problem
from forecasting.covariates import AnyCovariate
from forecasting.errors import InvalidSeries
from forecasting.frequency import Frequency, parse_frequency, season_lengths
from forecasting.grid import RegularSeries, Span, regularise
from forecasting.options import ForecastOptions
from forecasting.vintages import Vintages

Seasons: TypeAlias = tuple[int, int | None]
"""A season and a second, longer one or None, in steps."""


@dataclass(frozen=True)
class PanelSeries:
    """One series of a panel, as it was observed.

    Attributes:
        unique_id: its name.
        values: observations, shape (n,), any unit, at most 1e100 in size; NaN means
            missing.
        times: their UTC times, shape (n,), datetime64, increasing and unique.
        covariates: what is known besides.
        attributes: static attributes, such as its region, as (name, value).
        vintages: what was known of it when; backtests then read that.
    """

    unique_id: str
    values: FloatArray
    times: TimeArray
    covariates: tuple[AnyCovariate, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    vintages: Vintages | None = None


@dataclass(frozen=True)
class Posed:
    """A panel ready to be forecast.

    Attributes:
        problems: by position in the panel.
        warnings: by position in the panel.
        failed: what is wrong with the others, by position.
        seasons: what the panel agreed on.
    """

    problems: dict[int, Problem]
    warnings: dict[int, tuple[str, ...]]
    failed: dict[int, str]
    seasons: Seasons


def pose(
    series: Sequence[PanelSeries],
    *,
    options: ForecastOptions,
    agreed: Seasons | None = None,
) -> Posed:
    """Put every series on the grid and agree on the season of the panel.

    The season is used when half of the series hold two of it; the shorter ones then
    learn from the others.

    Args:
        series: the panel.
        options: the wish.
        agreed: the seasons, where they were settled before; else they are found.

    Returns:
        The problems, and what is wrong with the series that cannot be forecast.

    Raises:
        InvalidSeries: the frequency cannot be read.
    """
    frequency = parse_frequency(
        options.frequency, calendar=options.calendar, timezone=options.timezone
    )
    seasons = (options.season,) if options.season else season_lengths(frequency)
    regular: dict[int, RegularSeries] = {}
    failed: dict[int, str] = {}
    span = _span(series, options)
    for place, one in enumerate(series):
        try:
            regular[place] = regularise(
                one.values,
                times=one.times,
                frequency=frequency,
                season=seasons[0],
                rules=options.rules,
                span=span,
            )
        except InvalidSeries as error:
            failed[place] = str(error)
    points = [one.values.size for one in regular.values()]
    season, longer = agreed or _usable(seasons, points)
    plain = _Plain(frequency, options, season, longer)
    problems: dict[int, Problem] = {}
    notes: dict[int, tuple[str, ...]] = {}
    for place, gridded in regular.items():
        problem = _problem(plain, series[place], gridded)
        try:
            # Every covariate has to be known where the final forecast needs it.
            notes[place] = problem.context(problem.final).notes
        except InvalidSeries as error:
            failed[place] = str(error)
        else:
            problems[place] = problem
    warnings = {
        place: (
            *regular[place].warnings,
            *notes[place],
            *_shortness(problem, seasons[0]),
        )
        for place, problem in problems.items()
    }
    return Posed(problems, warnings, failed, (season, longer))


@dataclass(frozen=True)
class _Plain:
    frequency: Frequency
    options: ForecastOptions
    season: int
    long_season: int | None


def _span(series: Sequence[PanelSeries], options: ForecastOptions) -> Span:
    """Return the first and the latest time of the panel, which fill rules reach to."""
    if options.span is not None:
        start, end = (one.astimezone(UTC).replace(tzinfo=None) for one in options.span)
        return start, end
    ends = [(one.times.min(), one.times.max()) for one in series if len(one.times)]
    if not ends:
        return None, None
    return min(first for first, _ in ends), max(latest for _, latest in ends)


def _usable(seasons: Sequence[int], points: list[int]) -> Seasons:
    half = float(np.median(points)) if points else 0.0
    season = seasons[0] if half >= 2 * seasons[0] else 1
    longer = seasons[1] if len(seasons) > 1 and half >= 2 * seasons[1] else None
    return season, longer


def _problem(plain: _Plain, one: PanelSeries, series: RegularSeries) -> Problem:
    longer = plain.long_season
    if longer and series.values.size < 2 * longer:
        longer = None
    return Problem(
        series=series,
        frequency=plain.frequency,
        horizon=plain.options.horizon,
        season=plain.season,
        long_season=longer,
        seed=plain.options.seed,
        unique_id=one.unique_id,
        covariates=one.covariates,
        attributes=one.attributes,
        vintages=one.vintages,
    )


def _shortness(problem: Problem, season: int) -> tuple[str, ...]:
    points = problem.series.values.size
    if season == 1 or points >= 2 * season:
        return ()
    text = f"{points} points are less than two seasons of {season}"
    return (f"{text}: no season is used",) if problem.season == 1 else (text,)
