"""Which columns the rows of a panel have, and how its histories are laid for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.cases import Case
from forecasting.tracks import Tracks, lay_tracks

# About one year of hours; more of the same series gained nothing on loads and prices.
_POINTS_USED = 9_000
# Latest values at the cutoff, in steps before it: fewer than a season, at most these.
_RECENT_LEAST = 4
_RECENT_MOST = 13
# Up to this season every lag of a season is worth a column.
_SHORT_SEASON = 13
# Same-phase seasons before the target that are known at the cutoff.
SEASONS_BACK = 3
_YEAR_OF_WEEKS = 52


@dataclass(frozen=True)
class LagPlan:
    """Which values of the past a row of features looks at.

    Attributes:
        season: steps, at least 1.
        long_season: a second season in steps, or None.
    """

    season: int
    long_season: int | None

    @property
    def recent(self) -> int:
        """How many of the latest values are read."""
        if self.season > _SHORT_SEASON:
            return _RECENT_LEAST
        return min(max(self.season, _RECENT_LEAST), _RECENT_MOST)

    @property
    def seasons_back(self) -> int:
        """How many same-phase values before the target are read."""
        if self.season == 1:
            return 0
        return 5 if self.season == _YEAR_OF_WEEKS else SEASONS_BACK

    @property
    def steady(self) -> bool:
        """Whether earlier seasons still tell the size of the next.

        Those of a year of weeks lie too far back: series drift away in the meantime.
        """
        return self.season != _YEAR_OF_WEEKS

    @property
    def windows(self) -> tuple[int, ...]:
        """Steps of the rolling means, minima and maxima."""
        if self.season == 1:
            return (3, 8)
        if self.season == _YEAR_OF_WEEKS:
            return (4, 13, 26, 52, 104)
        windows = {self.season, 3 * self.season, self.long_season or self.season}
        return tuple(sorted(windows))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which columns the rows of a panel have; it is kept with a fitted model.

    Attributes:
        plan: the lags.
        known: covariates known for the steps ahead.
        past: covariates known up to the cutoff only.
        attributes: name of each static attribute and the values that were coded.
        prior: scale of a series too short to have one, in units of its level.
    """

    plan: LagPlan
    known: tuple[str, ...]
    past: tuple[str, ...]
    attributes: tuple[tuple[str, tuple[str, ...]], ...]
    prior: float

    @property
    def columns(self) -> tuple[str, ...]:
        """Covariates in the order of their columns."""
        return self.known + self.past


def lay_out(cases: Sequence[Case]) -> tuple[Layout, Tracks]:
    """Decide about the columns of a panel and lay its histories end to end.

    Args:
        cases: at least one; the first decides about the seasons. A covariate or an
            attribute of any case gets its columns, NaN for the cases that lack it.

    Returns:
        The layout, and the tracks of the same cases.
    """
    columns: dict[str, bool] = {}
    values: dict[str, set[str]] = {}
    for case in cases:
        context = case.context
        for column, name in enumerate(context.names):
            future = np.isfinite(context.future_covariates[:, column])
            columns[name] = columns.get(name, False) or bool(future.any())
        for attribute, value in context.attributes:
            values.setdefault(attribute, set()).add(value)
    layout = Layout(
        plan=LagPlan(cases[0].context.season, _long_season(cases)),
        known=tuple(name for name, known in columns.items() if known),
        past=tuple(name for name, known in columns.items() if not known),
        attributes=tuple(
            (name, tuple(sorted(values[name]))) for name in sorted(values)
        ),
        prior=0.0,
    )
    tracks = lay(cases, layout=layout)
    return replace(layout, prior=_prior(tracks)), tracks


def lay(cases: Sequence[Case], *, layout: Layout) -> Tracks:
    """Lay histories end to end as a layout wants them.

    Args:
        cases: at least one; only the latest 9,000 points (more for longer seasons) of
            each are taken.
        layout: of the panel the model was fitted to.

    Returns:
        The tracks.
    """
    plan = layout.plan
    return lay_tracks(
        cases,
        season=plan.season,
        windows=plan.windows,
        columns=layout.columns,
        most=max(_POINTS_USED, 8 * max(plan.long_season or 1, plan.season)),
    )


def attribute_codes(cases: Sequence[Case], *, layout: Layout) -> FloatArray:
    """Code the static attributes of each case.

    Args:
        cases: any.
        layout: the values that were seen when the model was fitted.

    Returns:
        Shape (cases, attributes): position of the value among those seen; NaN for a
        missing or unseen one.
    """
    codes = np.full((len(cases), len(layout.attributes)), np.nan)
    for column, (name, values) in enumerate(layout.attributes):
        coded = {value: float(code) for code, value in enumerate(values)}
        for row, case in enumerate(cases):
            value = dict(case.context.attributes).get(name, "")
            codes[row, column] = coded.get(value, np.nan)
    return codes


def _long_season(cases: Sequence[Case]) -> int | None:
    longer = cases[0].context.long_season
    if longer is None:
        return None
    # Three long seasons: one for the lags, and at least two to learn from.
    typical = np.median([case.history.size for case in cases])
    return longer if typical >= 3 * longer else None


def _prior(tracks: Tracks) -> float:
    series, final = np.arange(tracks.lengths.size), tracks.lengths - 1
    size = tracks.size(series, final)
    shares = tracks.scale(series, final) / np.where(size > 0, size, np.nan)
    shares = shares[shares > 0]
    return float(np.median(shares)) if shares.size else 0.0
