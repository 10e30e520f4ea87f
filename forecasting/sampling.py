"""Which (series, cutoff, step) pairs of a panel the trees learn from."""

from typing import Any

import numpy as np

from forecasting.cases import Regime
from forecasting.features import Pairs
from forecasting.tracks import Tracks

# Below this many points in the panel the trees learn little that lasts.
_LEAST_POINTS = 5_000
# A panel of one series is sampled to its rows, each further series adds as many.
_ROWS_A_SERIES = 20_000
_ROWS_MOST = 300_000
# Cutoffs within a 24th of the season (an hour of a day) of the forecast's own phase
# make this share of the rows of a panel, or of a single series.
_PHASES = 24
_ALIKE_SHARE = 0.5
_ALIKE_SHARE_ALONE = 0.8
# A single series with as many seasons, each of a day of hours or finer, is enough.
_FINE_SEASON = 24
_LEAST_FINE_SEASONS = 40


def sample_pairs(tracks: Tracks, *, horizon: int, seed: int) -> Pairs:
    """Draw the (series, cutoff, step) pairs to learn from.

    A forecast made at midnight learns most from other midnights, so half of the pairs
    (of a single series four fifths) have a cutoff in the phase of the final one; the
    rest keeps the model usable at any phase.

    Args:
        tracks: the panel.
        horizon: steps.
        seed: of the draw.

    Returns:
        Pairs whose target is known; at most 20,000 a series and 300,000 in all.
    """
    season = tracks.season
    first = min(season + max(season // 2, 2), int(tracks.lengths.min())) - 1
    counts = np.maximum(tracks.lengths - 1 - first, 0)
    series = np.repeat(np.arange(counts.size), counts)
    starts = np.cumsum(counts) - counts
    cutoffs = first + np.arange(series.size) - starts[series]
    budget = min(_ROWS_A_SERIES * counts.size, _ROWS_MOST)
    rng = np.random.default_rng(seed)
    if series.size * horizon <= budget:
        chosen = np.arange(series.size * horizon)
    else:
        away = (tracks.lengths[series] - 1 - cutoffs) % season
        away = np.minimum(away, season - away)
        alike = np.flatnonzero(away <= season // _PHASES)
        alone = counts.size == 1
        share = round((_ALIKE_SHARE_ALONE if alone else _ALIKE_SHARE) * budget)
        chosen = np.union1d(
            _draw(alike, horizon, share, rng),
            _draw(np.arange(series.size), horizon, budget - share, rng),
        )
    where, steps = chosen // horizon, chosen % horizon + 1
    known = cutoffs[where] + steps < tracks.lengths[series[where]]
    where, steps = where[known], steps[known]
    return Pairs(series[where], cutoffs[where], steps)


def trained_rows(regime: Regime) -> float:
    """Estimate how many rows `sample_pairs` draws, for costs."""
    pairs = regime.series * regime.points * regime.horizon
    return min(pairs, _ROWS_A_SERIES * regime.series, _ROWS_MOST)


def suits_trees(regime: Regime) -> bool:
    """Suit panels with enough points to learn from."""
    fine = regime.season >= _FINE_SEASON
    if fine and regime.points >= _LEAST_FINE_SEASONS * regime.season:
        return True
    return regime.series * regime.points >= _LEAST_POINTS


def _draw(places: Any, horizon: int, wanted: int, rng: np.random.Generator) -> Any:
    total = places.size * horizon
    chosen = rng.choice(total, size=min(wanted, total), replace=False, shuffle=False)
    return places[chosen // horizon] * horizon + chosen % horizon
