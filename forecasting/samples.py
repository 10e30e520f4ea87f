"""Sample paths: whole futures whose steps move together as past errors did."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.intervals import LEAST_FOLDS, conformal_offsets


@dataclass(frozen=True)
class Sampler:
    """What paths of errors are drawn from, in scales of the series.

    Attributes:
        whole: residuals of windows of which every step is known, shape (n, horizon).
        calibrated: quantiles of each step, one for each path, shape (count, horizon).
    """

    whole: FloatArray
    calibrated: FloatArray

    def draw(self, *, seed: int, name: str) -> FloatArray:
        """Draw paths of errors for one series.

        Whole rows of residuals are drawn, which keeps how the steps of a window move
        together; then the values of each step are replaced, rank by rank, by its
        calibrated quantiles, so that the paths spread as the quantiles do.

        Args:
            seed: of the draw.
            name: of the series; each has draws of its own.

        Returns:
            Shape (count, horizon); zeros where fewer than two whole rows are known.

        References:
            Schefzik, Thorarinsdottir & Gneiting, Uncertainty Quantification in Complex
            Simulation Models Using Ensemble Copula Coupling, Statistical Science 28
            (2013) 616-640.
        """
        count = len(self.calibrated)
        if len(self.whole) < LEAST_FOLDS:
            return np.zeros(self.calibrated.shape)
        rng = np.random.default_rng((seed, crc32(name.encode())))
        drawn = self.whole[rng.integers(len(self.whole), size=count)]
        # Ties would otherwise be broken by the order of the draw, step after step.
        order = np.lexsort((rng.random(drawn.shape), drawn), axis=0)
        ranks = np.argsort(order, axis=0)
        return np.take_along_axis(self.calibrated, ranks, axis=0)


def sampler(rows: FloatArray, *, count: int) -> Sampler:
    """Make ready to draw.

    Args:
        rows: scaled residuals, shape (rows, horizon), NaN where unknown.
        count: paths of each draw, at least 1.

    Returns:
        The sampler.

    Example:
        >>> paths = sampler(np.array([[-1.0], [1.0]]), count=4)
        >>> np.sort(paths.draw(seed=0, name="load").ravel())
        array([-1.  , -0.75,  0.75,  1.  ])
    """
    whole = rows[~np.isnan(rows).any(axis=1)]
    levels = tuple((np.arange(count) + 0.5) / count)
    if len(whole) < LEAST_FOLDS:
        return Sampler(whole, np.zeros((count, rows.shape[1])))
    return Sampler(whole, conformal_offsets(rows, levels=levels))
