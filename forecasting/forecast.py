"""Forecast series: from values and times to an evaluated answer."""

from collections.abc import Sequence

import numpy as np

from forecasting.answers import (
    Candidate,
    Coverage,
    PanelForecast,
    SeriesForecast,
    compose,
    covered,
    look_at,
)
from forecasting.arrays import FloatArray, TimeArray
from forecasting.backtest import Problem
from forecasting.errors import InvalidSeries
from forecasting.evaluation import Evaluation
from forecasting.learning import Learned, learn
from forecasting.models import registered_models
from forecasting.options import ForecastOptions, check_options
from forecasting.panel import PanelSeries, Posed, pose
from forecasting.prediction import predict

__all__ = [
    "Candidate",
    "Evaluation",
    "ForecastOptions",
    "InvalidSeries",
    "PanelForecast",
    "PanelSeries",
    "SeriesForecast",
    "forecast_panel",
    "forecast_series",
    "model_names",
]


def model_names() -> tuple[str, ...]:
    """Name the registered models in alphabetical order.

    Example:
        >>> "naive" in model_names()
        True
    """
    return tuple(registered_models())


def forecast_series(
    values: FloatArray, *, times: TimeArray, options: ForecastOptions
) -> SeriesForecast:
    """Forecast one series: a panel of one.

    Args:
        values: observations, shape (n,), any unit, at most 1e100 in size; NaN means
            missing.
        times: their UTC times, shape (n,), datetime64, increasing and unique.
        options: what to forecast and how.

    Returns:
        The forecast of the `horizon` steps after the latest observed value.

    Raises:
        InvalidSeries: the options, the values or the times cannot be forecast.

    Example:
        >>> days = np.datetime64("2024-01-01", "us") + np.arange(70).astype("m8[D]")
        >>> wish = ForecastOptions(horizon=2, frequency="D", model="seasonal_naive")
        >>> forecast_series(np.arange(70) % 7.0, times=days, options=wish).mean
        array([0., 1.])
    """
    one = PanelSeries("series", values, times)
    found = forecast_panel([one], options=options)
    if found.failed:
        raise InvalidSeries(found.failed[0][1])
    return found.series[0]


def forecast_panel(
    series: Sequence[PanelSeries], *, options: ForecastOptions
) -> PanelForecast:
    """Forecast a panel and report how well the same method did before.

    Every series is put on the grid of its frequency. "auto" backtests the models that
    suit the panel and the budget, leaves out those far behind, and blends the rest by
    the errors of the group and of each series. The evaluation of a window uses weights
    from earlier windows only. The quantiles come from the errors of the blend in the
    backtests of the whole panel, scaled to each series.

    Args:
        series: the panel; names must be unique.
        options: what to forecast and how.

    Returns:
        The forecasts; a series that cannot be forecast is named in `failed` and does
        not disturb the others.

    Raises:
        InvalidSeries: the options cannot be met by any series.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.8-5.10;
        Makridakis et al., Int. J. Forecasting 36 (2020) 54-74, on combinations.
    """
    check_options(options, known=model_names())
    posed = pose(series, options=options)
    answers: dict[int, SeriesForecast] = {}
    moving = [p for p, one in posed.problems.items() if not _flat(one)]
    still = [p for p, one in posed.problems.items() if _flat(one)]
    coverage = learned = None
    if moving:
        made, learned, coverage = _forecast(posed, moving, options)
        answers |= made
    if still:
        made, _, _ = _forecast(posed, still, options, flat=True)
        answers |= made
    return PanelForecast(
        series=tuple(answers[place] for place in sorted(answers)),
        failed=tuple(
            (series[p].unique_id, posed.failed[p]) for p in sorted(posed.failed)
        ),
        coverage=coverage,
        learned=learned,
    )


def _flat(problem: Problem) -> bool:
    return problem.final > 0 and float(np.ptp(problem.series.values)) == 0


def _forecast(
    posed: Posed, places: Sequence[int], options: ForecastOptions, *, flat: bool = False
) -> tuple[dict[int, SeriesForecast], Learned, Coverage | None]:
    problems = [posed.problems[place] for place in places]
    learned, evidence = learn(problems, options=options, flat=flat)
    predictions = predict(learned, problems, options=options)
    seen = look_at(evidence, options=options)
    answers = {
        place: compose(
            problems[row],
            predictions[row],
            seen=seen,
            row=row,
            warnings=posed.warnings[place],
        )
        for row, place in enumerate(places)
    }
    return answers, learned, covered(seen)
