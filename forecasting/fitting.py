"""What fits of statistical models share: a bounded history and one named failure."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit

# Older seasons hardly move smoothed states, but every one of them costs CPU time.
_SEASONS_USED = 60
_LEAST_POINTS_USED = 200
_MOST_POINTS_USED = 10_000


def recent(history: FloatArray, *, season: int) -> FloatArray:
    """Cut a history to the last 60 seasons, at least 200 and at most 10,000 points.

    Args:
        history: known values, shape (n,).
        season: steps, at least 1; at least three seasons are kept in any case.

    Returns:
        The end of the history, shape (m,), m at most n.

    Example:
        >>> recent(np.arange(2_000.0), season=24).size
        1440
    """
    points = min(max(_SEASONS_USED * season, _LEAST_POINTS_USED), _MOST_POINTS_USED)
    return history[-max(points, 3 * season) :]


def require_points(name: str, *, history: FloatArray, least: int) -> None:
    """Refuse a history that is too short for a model.

    Args:
        name: the model, for the message.
        history: known values, shape (n,).
        least: points that the model needs.

    Raises:
        ModelUnfit: the history has fewer points.
    """
    if history.size < least:
        raise ModelUnfit(f"{name} needs {least} points and got {history.size}")


@contextmanager
def contained_fit(name: str) -> Iterator[None]:
    """Silence the warnings of a fit and name its failures.

    An optimiser that stops early warns and still returns a usable fit; whether the fit
    is any good is decided by the backtest and the output guard, not by its warnings.

    Args:
        name: the model, for the message.

    Yields:
        Nothing.

    Raises:
        ModelUnfit: the library gave up.
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        # Statsforecast gives up with a bare Exception or NotImplementedError.
        raise ModelUnfit(f"{name} could not be fitted: {error}") from error


def library_mean(
    name: str, *, history: FloatArray, horizon: int, build: Callable[[], Any]
) -> FloatArray:
    """Forecast by a model of statsforecast; a flat history needs no fit.

    Args:
        name: the model, for the message.
        history: known values, shape (n,), no NaN.
        horizon: steps to forecast.
        build: makes the library's model; called inside the contained fit.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the library gave up, or its forecast is not finite.
    """
    if np.ptp(history) == 0:
        return np.full(horizon, history[-1])
    with contained_fit(name):
        answer = build().forecast(y=history, h=horizon)["mean"]
        mean = np.asarray(answer, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise ModelUnfit(f"{name} gave a forecast that is not finite")
    return mean


def undo_difference(changes: FloatArray, *, latest: FloatArray) -> FloatArray:
    """Turn forecasts of changes over a span of steps into forecasts of values.

    Args:
        changes: forecast of each value less the value one span before it, shape
            (horizon,).
        latest: the last values of the history, shape (span,), same unit.

    Returns:
        Shape (horizon,), same unit.

    Example:
        >>> undo_difference(np.array([1.0, 1.0, 1.0]), latest=np.array([5.0, 7.0]))
        array([6., 8., 7.])
    """
    span = latest.size
    padded = np.zeros(-(-changes.size // span) * span)
    padded[: changes.size] = changes
    sums = np.cumsum(padded.reshape(-1, span), axis=0)
    return np.asarray((latest + sums).ravel()[: changes.size])
