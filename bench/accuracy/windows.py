"""What is forecast: series cut at cutoffs, and what then came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from forecasting.arrays import FloatArray, TimeArray

# Deciles for the weighted quantile loss, and the ends of the 95 % interval.
LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)


@dataclass(frozen=True, kw_only=True)
class Window:
    """One series cut at one cutoff.

    Attributes:
        unique_id: of the series.
        history: what was known, shape (n,); NaN in gaps, its last value known.
        times: UTC times of the history on its grid, shape (n,).
        actual: what came, shape (horizon,); NaN steps are not scored.
        naive2: the competition's own Naive2, shape (horizon,), or None.
        names: of the covariates, known for the future.
        covariates: their values, shape (n + horizon, columns).
        attributes: pairs of a name and a value, such as the region.
    """

    unique_id: str
    history: FloatArray
    times: TimeArray
    actual: FloatArray
    naive2: FloatArray | None = None
    names: tuple[str, ...] = ()
    covariates: FloatArray | None = None
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Collection:
    """The windows of a collection, and how it is judged.

    Attributes:
        frequency: as "auto" is told.
        season: in steps, as every model is told.
        long_season: a longer one, for the models that take two.
        scale_season: of the seasonal naive that scales MASE and RMSSE.
        horizon: steps.
        metric: the one that counts: "OWA", "MASE" or "RMSSE".
        panels: windows that are forecast together, one tuple for each cutoff.
        published: mean forecasts by method, a row for each window.
        claims: published figures of the metric by method, on the whole competition.
        aim: what the metric of "auto" is to stay below, or None.
        told: what a reader must know about the data.
    """

    name: str
    title: str
    frequency: str
    season: int
    scale_season: int
    horizon: int
    metric: str
    panels: tuple[tuple[Window, ...], ...]
    told: str
    long_season: int | None = None
    published: Mapping[str, FloatArray] = field(default_factory=dict)
    claims: Mapping[str, float] = field(default_factory=dict)
    aim: float | None = None

    @property
    def windows(self) -> tuple[Window, ...]:
        """All windows, cutoff by cutoff."""
        return tuple(window for panel in self.panels for window in panel)

    @property
    def series(self) -> int:
        """How many series there are."""
        return len({window.unique_id for window in self.windows})


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Which part of a collection is measured.

    Attributes:
        sample: at most so many series, spread evenly; None takes all.
        validation: measure the end of the training part, for tuning.
    """

    sample: int | None = None
    validation: bool = False

    def chosen(self, names: Sequence[str]) -> list[str]:
        """Return the sampled names, in their order."""
        if self.sample is None or self.sample >= len(names):
            return list(names)
        steps = np.linspace(0, len(names) - 1, self.sample).round().astype(int)
        return [names[step] for step in steps]


@dataclass(frozen=True)
class Forecasts:
    """What a model says about the windows of a collection.

    Attributes:
        mean: shape (windows, horizon).
        quantiles: shape (windows, levels, horizon), levels as in LEVELS; NaN where the
            model has no intervals.
        seconds: CPU seconds of fits and forecasts, without imports.
        fallbacks: windows in which the model failed and the seasonal naive stood in.
    """

    mean: FloatArray
    quantiles: FloatArray
    seconds: float
    fallbacks: int = 0


def synthetic_times(count: int, frequency: str, *, start: str) -> TimeArray:
    """Return times for a series that came without any.

    Example:
        >>> synthetic_times(2, "MS", start="2000-01-01")[1]
        np.datetime64('2000-02-01T00:00:00.000000')
    """
    months = {"MS": 1, "QS": 3, "YS": 12}.get(frequency)
    steps = np.arange(count)
    if months is not None:
        grid = np.datetime64(start[:7], "M") + steps * np.timedelta64(months, "M")
    else:
        hours = {"30min": 0.5, "1h": 1, "D": 24, "W": 168}[frequency]
        minutes = np.timedelta64(int(hours * 60), "m")
        grid = np.datetime64(start, "m") + steps * minutes
    return grid.astype("datetime64[us]")
