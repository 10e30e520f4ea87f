"""Blend models by their past errors: the group's and the series' own.

Picking one model a series on one window loses to a plain mean; a gate on the group's
pooled error and mild weights win.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.arrays import BoolArray, FloatArray
from forecasting.backtest import Trial

# A member with an error above this many times the best one's is left out.
_GATE = 1.25
# Yardsticks: they are blended only while no model is better than all of them.
_YARDSTICKS = frozenset({"drift", "naive", "naive2", "seasonal_naive"})
_LEAST_KEPT = 2
_OWN_SHARE = 0.5
_POWER = 2.0
# Own errors against the mean of the members; a lucky window must not rule.
_OWN_RANGE = (0.25, 4.0)
_TINY = 1e-12


@dataclass(frozen=True)
class Losses:
    """Errors of the members and, last, of the baseline, on every window of a group.

    Attributes:
        names: of the members.
        scaled: absolute errors over the seasonal naive's, shape (series, windows,
            members + 1), NaN where nothing was observed.
        shares: symmetric percentage errors as shares, same shape.
        positive: whether all of a window's values are above zero, (series, windows).
    """

    names: tuple[str, ...]
    scaled: FloatArray
    shares: FloatArray
    positive: BoolArray

    def some(self, windows: Sequence[int]) -> "Losses":
        """Keep only these windows, so that the others have no say in anything."""
        kept = list(windows)
        return Losses(
            self.names,
            self.scaled[:, kept],
            self.shares[:, kept],
            self.positive[:, kept],
        )

    @property
    def relative(self) -> FloatArray:
        """The members' errors against the baseline's mean over the group.

        Where all values are above zero, the mean of the ratio of scaled errors and the
        ratio of percentage errors: the OWA of the M4 competition.
        """
        parts = [_relative(self.scaled)]
        if self.positive.all():
            parts.append(_relative(self.shares))
        return np.asarray(np.mean(parts, axis=0)[:, :, :-1])


def measure(trials: Sequence[Trial], *, names: tuple[str, ...]) -> Losses:
    """Measure every member on every window.

    Args:
        trials: one a series, with forecasts of all members.
        names: of the members.

    Returns:
        Losses; series with fewer windows than others are NaN in the rest.

    References:
        Makridakis, Spiliotis & Assimakopoulos, Int. J. Forecasting 36 (2020) 54-74.
    """
    made = [
        np.stack([trial.means[name] for name in names], axis=-1)
        if names
        else np.empty((*trial.actual.shape, 0))
        for trial in trials
    ]
    return _losses(trials, made, names)


def pooled_loss(trials: Sequence[Trial], means: Sequence[FloatArray]) -> float:
    """Average the relative loss of one method over all series and windows.

    Args:
        trials: one a series.
        means: the method's forecasts of each, shape (windows, horizon).

    Returns:
        The loss, 1 for the baseline; NaN without any observed point.
    """
    found = _losses(trials, [mean[:, :, None] for mean in means], ("method",))
    return float(group_losses(found)[0])


def group_baseline(trials: Sequence[Trial]) -> float:
    """Average the loss of the baseline: 1, unless it never erred."""
    return pooled_loss(trials, [trial.baseline for trial in trials])


def _losses(
    trials: Sequence[Trial], made: Sequence[FloatArray], names: tuple[str, ...]
) -> Losses:
    deepest = max((len(trial.cutoffs) for trial in trials), default=0)
    shape = (len(trials), deepest, len(names) + 1)
    scaled, shares = np.full(shape, np.nan), np.full(shape, np.nan)
    positive = np.ones(shape[:2], dtype=np.bool_)
    for row, (trial, means) in enumerate(zip(trials, made, strict=True)):
        windows = len(trial.cutoffs)
        both = np.concatenate([means, trial.baseline[:, :, None]], axis=2)
        error = np.abs(trial.actual[:, :, None] - both)
        size = np.abs(trial.actual[:, :, None]) + np.abs(both)
        scaled[row, :windows] = _mean(error, axis=1) / trial.scale[:, None]
        shares[row, :windows] = _mean(error / np.maximum(size, _TINY), axis=1)
        positive[row, :windows] = (np.isnan(trial.actual) | (trial.actual > 0)).all(1)
    return Losses(names, scaled, shares, positive)


def _relative(error: FloatArray) -> FloatArray:
    known = error[:, :, -1][~np.isnan(error[:, :, -1])]
    reference = float(known.mean()) if known.size else 1.0
    return error / (reference if reference > _TINY else 1.0)


def group_losses(losses: Losses) -> FloatArray:
    """Average each member over all series and windows; NaN without any, shape (m,)."""
    return _mean(losses.relative.reshape(-1, len(losses.names)), axis=0)


def gate(losses: Losses) -> tuple[int, ...]:
    """Choose the members whose pooled error is within 1.25 times the best one's.

    The naive methods leave as soon as a model beats all of them: a blend is no place
    for what is only there to be beaten.

    Args:
        losses: of all members.

    Returns:
        Their positions; two at least where a naive method is the best; all of them
        where nothing was measured.
    """
    pooled = group_losses(losses)
    if np.isnan(pooled).all():
        return tuple(range(len(losses.names)))
    order = np.argsort(pooled, kind="stable")
    limit = _GATE * pooled[order[0]]
    kept = {int(one) for one in order if pooled[one] <= limit}
    kept |= {int(one) for one in order[:_LEAST_KEPT]}
    return tuple(sorted(_without_yardsticks(kept, losses.names, best=int(order[0]))))


def _without_yardsticks(kept: set[int], names: Sequence[str], *, best: int) -> set[int]:
    if names[best] in _YARDSTICKS:
        return kept
    return {one for one in kept if names[one] not in _YARDSTICKS}


def weigh(losses: Losses, *, kept: Sequence[int]) -> FloatArray:
    """Weigh the kept members of each series by past errors.

    The weight is the inverse square of half the group's error and half the series'
    own, each against the mean of the members; series that nothing is known of take the
    group's.

    Args:
        losses: of all members.
        kept: positions of the members that passed the gate.

    Returns:
        Weights, shape (series, members), zero where not kept; rows sum to 1.
    """
    chosen = list(kept)
    relative = losses.relative
    weights = np.zeros((relative.shape[0], len(losses.names)))
    pooled = group_losses(losses)[chosen]
    pooled = np.nan_to_num(pooled / max(float(pooled.mean()), _TINY), nan=1.0)
    own = _mean(relative[:, :, chosen], axis=1)
    own = own / np.maximum(own.mean(axis=1, keepdims=True), _TINY)
    own = np.where(np.isnan(own), pooled[None, :], np.clip(own, *_OWN_RANGE))
    mixed = (1 - _OWN_SHARE) * pooled[None, :] + _OWN_SHARE * own
    raw = np.maximum(mixed, _TINY) ** -_POWER
    weights[:, chosen] = raw / raw.sum(axis=1, keepdims=True)
    return weights


def weights_of(losses: Losses, *, gated: bool) -> FloatArray:
    """Gate, then weigh; equal weights where nothing was measured.

    Args:
        losses: of all members, on the windows that may be looked at.
        gated: whether members may be left out.

    Returns:
        Weights, shape (series, members).
    """
    everyone = tuple(range(len(losses.names)))
    return weigh(losses, kept=gate(losses) if gated else everyone)


def blend(trial: Trial, *, weights: FloatArray, names: tuple[str, ...]) -> FloatArray:
    """Average the members' forecasts of one series' windows.

    Args:
        trial: the members' forecasts.
        weights: shape (windows, members), rows sum to 1.
        names: of the members.

    Returns:
        Means, shape (windows, horizon).
    """
    if not trial.cutoffs:
        return trial.baseline
    made = np.stack([trial.means[name] for name in names], axis=1)
    return np.asarray(np.einsum("wm,wmh->wh", weights, made))


def _mean(values: FloatArray, *, axis: int) -> FloatArray:
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
