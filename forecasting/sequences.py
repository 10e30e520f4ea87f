"""Windows of history for the deep models: tokens, features of the steps ahead, scales.

A network corrects the seasonal naive. It sees errors of the seasonal naive in units of
their own mean size, so series of any level and unit can share one network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray, TimeArray
from forecasting.cases import Case, ModelContext

# A window is always cut into so many tokens, so that few shapes have to be compiled.
TOKENS = 24
_SEASONS = 3
_LONG_SEASONS = 2
_LONGEST = 336
# Horizons share shapes for the same reason; steps beyond the horizon have no weight.
_HORIZON_STEP = 24
_LAGS = 3
_ROUND_OFF = 1e-9
_HOUR = np.timedelta64(1, "h")
# The epoch, 1970-01-01, was a Thursday; Monday is day 0.
_EPOCH_WEEKDAY = 3
_FRIDAY = 4


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """Which values a window looks at and how they are laid out.

    Attributes:
        season: steps, at least 1.
        long_season: a second season in steps, or None.
        horizon: steps ahead.
        patch: consecutive steps that make one token.
        past: names of the covariates seen beside the history.
        ahead: names of those that are also known for the steps ahead.
    """

    season: int
    long_season: int | None
    horizon: int
    patch: int
    past: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Steps of a window."""
        return TOKENS * self.patch

    @property
    def reach(self) -> int:
        """Known steps that a window needs, up to and including its cutoff."""
        longest = max(self.length, self.season, self.long_season or 0)
        return longest + self.season

    @property
    def steps(self) -> int:
        """Steps that the network puts out: the horizon, rounded up."""
        return -(-self.horizon // _HORIZON_STEP) * _HORIZON_STEP


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Windows as a network takes them, one row each, in single precision.

    Attributes:
        tokens: shape (r, 24, channels); the first `patch` channels are errors of the
            seasonal naive in units of the scale.
        ahead: features of the steps ahead, shape (r, steps, features).
        naive: the seasonal naive, shape (r, horizon), unit of the series.
        scale: mean absolute error of the seasonal naive within each window, shape (r,),
            unit of the series; zero where it was never wrong.
    """

    tokens: Any
    ahead: Any
    naive: FloatArray
    scale: FloatArray

    def at(self, chosen: Any) -> "Rows":
        """Keep some of the rows."""
        return Rows(
            tokens=self.tokens[chosen],
            ahead=self.ahead[chosen],
            naive=self.naive[chosen],
            scale=self.scale[chosen],
        )


def plan_windows(cases: Sequence[Case]) -> WindowPlan:
    """Lay out the windows of a panel.

    Three seasons, or two long ones where half of the histories hold three, but at
    least 24 and at most 336 steps.

    Args:
        cases: at least one, all of the same season and horizon.

    Returns:
        The plan; covariates are those that every case has.
    """
    first = cases[0].context
    longer = first.long_season
    if longer and np.median([case.history.size for case in cases]) < 3 * longer:
        longer = None
    wanted = _LONG_SEASONS * longer if longer else _SEASONS * first.season
    past = tuple(
        name
        for name in first.names
        if all(name in case.context.names for case in cases)
    )
    return WindowPlan(
        season=first.season,
        long_season=longer,
        horizon=first.horizon,
        patch=-(-min(wanted, _LONGEST) // TOKENS),
        past=past,
        ahead=tuple(n for n in past if all(_is_known(n, c.context) for c in cases)),
    )


def _is_known(name: str, context: ModelContext) -> bool:
    column = context.future_covariates[:, context.names.index(name)]
    return bool(np.isfinite(column).all())


def can_be_forecast(case: Case, plan: WindowPlan) -> bool:
    """Tell whether a case has the history and the covariates of a plan."""
    context = case.context
    return (
        case.history.size >= plan.reach
        and context.horizon <= plan.horizon
        and all(name in context.names for name in plan.past)
        and all(_is_known(name, context) for name in plan.ahead)
    )


def window_rows(case: Case, *, cutoffs: Any, plan: WindowPlan) -> Rows:
    """Cut windows that end at cutoffs.

    Args:
        case: a history (n,) without NaN; windows read values only up to their cutoff
            and covariates also at the steps ahead.
        cutoffs: index of the latest known value of each window, shape (r,), at least
            `plan.reach` - 1.
        plan: the layout.

    Returns:
        The rows; what lies ahead of the horizon or of the known times repeats the last
        known step.

    References:
        Nie et al., A Time Series is Worth 64 Words, ICLR 2023, for tokens of several
        steps.
    """
    values, season = case.history, plan.season
    cutoffs = np.asarray(cutoffs)[:, None]
    back = cutoffs + np.arange(1 - plan.length, 1)
    level = values[cutoffs - np.arange(season)].mean(axis=1, keepdims=True)
    errors = values[back] - values[back - season]
    scale = _above_round_off(np.abs(errors).mean(axis=1, keepdims=True), values[back])
    shape = values[back] - level
    spread = _above_round_off(shape.std(axis=1, keepdims=True), values[back])
    channels = [_over(errors, scale), _over(shape, spread)]
    channels += [column[back] for column in _columns(case, plan.past)]
    steps = np.minimum(np.arange(1, plan.steps + 1), plan.horizon)[None, :]
    naive = values[_phase(cutoffs, steps, season)]
    ahead = [
        np.broadcast_to(steps / plan.horizon, (len(cutoffs), plan.steps)),
        _over(naive - level, spread),
        *_lags(values, cutoffs=cutoffs, steps=steps, plan=plan, scale=scale),
        *_of_target(case, cutoffs=cutoffs, steps=steps, plan=plan),
    ]
    return Rows(
        tokens=_single(np.concatenate([_patches(c, plan) for c in channels], axis=2)),
        ahead=_single(np.stack(ahead, axis=2)),
        naive=naive[:, : plan.horizon],
        scale=scale[:, 0],
    )


def _phase(cutoffs: Any, steps: Any, season: int) -> Any:
    """Return where the latest known value of each step's phase is."""
    return cutoffs + steps - season * -(-steps // season)


def _patches(channel: Any, plan: WindowPlan) -> Any:
    return channel.reshape(len(channel), TOKENS, plan.patch)


def _single(array: Any) -> Any:
    return np.ascontiguousarray(array, dtype=np.float32)


def _above_round_off(size: FloatArray, values: FloatArray) -> FloatArray:
    # Differences of equal numbers may leave round-off, which no network can learn.
    least = _ROUND_OFF * np.abs(values).max(axis=1, keepdims=True)
    return np.where(size > least, size, 0.0)


def _over(part: FloatArray, size: FloatArray) -> FloatArray:
    return np.asarray(np.divide(part, size, out=np.zeros_like(part), where=size > 0))


def _lags(
    values: FloatArray, *, cutoffs: Any, steps: Any, plan: WindowPlan, scale: FloatArray
) -> list[FloatArray]:
    """Compare the naive with earlier same-phase values, in units of the scale."""
    season, phase = plan.season, _phase(cutoffs, steps, plan.season)
    naive = values[phase]
    lags = []
    for lag in range(1, _LAGS + 1):
        # The phase lies less than one season before the cutoff.
        reached = (lag + 1) * season <= plan.reach
        earlier = values[phase - lag * season] if reached else naive
        lags.append(_over(earlier - naive, scale))
    if plan.long_season is None:
        return [*lags, np.zeros_like(naive)]
    longer = values[_phase(cutoffs, steps, plan.long_season)]
    return [*lags, _over(longer - naive, scale)]


def _of_target(
    case: Case, *, cutoffs: Any, steps: Any, plan: WindowPlan
) -> list[FloatArray]:
    context = case.context
    times = np.concatenate([context.times, context.future_times])
    target = np.minimum(cutoffs + steps, times.size - 1)
    parts = _calendar(times[target])
    for column in _columns(case, plan.ahead):
        same_phase = column[_phase(cutoffs, steps, plan.season)]
        parts += [column[target], column[target] - same_phase]
    return parts


def _columns(case: Case, names: Sequence[str]) -> list[FloatArray]:
    """Return covariates over history and future, each scaled by its own history."""
    found = []
    for name in names:
        place = case.context.names.index(name)
        known = case.context.covariates[:, place]
        ahead = case.context.future_covariates[:, place]
        scaled = (np.concatenate([known, ahead]) - known.mean()) / (known.std() or 1.0)
        found.append(scaled)
    return found


def _calendar(times: TimeArray) -> list[FloatArray]:
    days = times.astype("datetime64[D]")
    day = days.astype(np.int64)
    weekday = (day + _EPOCH_WEEKDAY) % 7
    turns = [(times - days) / _HOUR / 24, weekday / 7, day / 365.25]
    circles = [f(2 * np.pi * turn) for turn in turns for f in (np.sin, np.cos)]
    return [*circles, (weekday > _FRIDAY).astype(np.float64)]


def cutoffs_to_learn_from(case: Case, plan: WindowPlan) -> tuple[Any, Any]:
    """Split the cutoffs whose whole horizon is known in time.

    Args:
        case: one history, shape (n,).
        plan: the layout.

    Returns:
        Cutoffs to train on and, from the latest tenth, those to validate on. Targets of
        the first end before those of the second begin, where that leaves half of them.
    """
    first, end = plan.reach - 1, case.history.size - plan.horizon
    count = max(end - first, 0)
    start = end - -(-count // 10)
    apart = start - plan.horizon + 1
    stop = apart if apart - first >= count / 2 else start
    return np.arange(first, max(stop, first)), np.arange(start, end)


def join_rows(rows: Sequence[Rows]) -> Rows:
    """Put rows of several cases below each other; at least one."""
    return Rows(
        tokens=np.concatenate([one.tokens for one in rows]),
        ahead=np.concatenate([one.ahead for one in rows]),
        naive=np.concatenate([one.naive for one in rows]),
        scale=np.concatenate([one.scale for one in rows]),
    )
