"""What-if: the same series with other covariates ahead, by what was learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from forecasting.arrays import TimeArray
from forecasting.covariates import Covariate
from forecasting.errors import InvalidSeries
from forecasting.panel import PanelSeries


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of a covariate that is known ahead.

    Attributes:
        covariate: its name.
        multiply: its values are multiplied by this.
        add: this is added then, in its unit.
        start: UTC time from which it holds, datetime64; None from the cutoff on.
        end: UTC time up to which it holds, not included; None to the end.
    """

    covariate: str
    multiply: float = 1.0
    add: float = 0.0
    start: Any = None
    end: Any = None


def changed_panel(
    series: Sequence[PanelSeries],
    *,
    changes: Sequence[Change],
    ahead: Mapping[str, TimeArray] = MappingProxyType({}),
) -> tuple[PanelSeries, ...]:
    """Change covariates after the latest observation of each series.

    What lies before it stays: the past cannot be otherwise, and the models learned
    from it.

    Args:
        series: the panel.
        changes: applied in their order.
        ahead: by unique_id, UTC times that are forecast, ascending; a change then holds
            from the first to the last of them. Without them it holds from the latest
            observation on.

    Returns:
        The panel of the scenario.

    Raises:
        InvalidSeries: a series has no such covariate, it is not known ahead, or the
            change touches none of its values.
    """
    return tuple(
        replace(
            one,
            covariates=tuple(
                _changed(given, _span(one, ahead.get(one.unique_id)), changes)
                if isinstance(given, Covariate)
                else given
                for given in one.covariates
            ),
        )
        for one in _checked(series, changes)
    )


def _span(one: PanelSeries, ahead: TimeArray | None) -> tuple[Any, Any]:
    """Return the first and the last instant that a change may touch."""
    if ahead is not None:
        return ahead[0], ahead[-1]
    observed = one.times[~np.isnan(one.values)]
    latest = observed.max() if observed.size else one.times.min()
    return latest + np.timedelta64(1, "us"), np.datetime64("9999-01-01", "us")


def _checked(
    series: Sequence[PanelSeries], changes: Sequence[Change]
) -> Sequence[PanelSeries]:
    for one in series:
        known = {c.name: c for c in one.covariates if isinstance(c, Covariate)}
        for change in changes:
            if change.covariate not in known:
                names = ", ".join(sorted(known)) or "none"
                raise InvalidSeries(
                    f"{one.unique_id} has no covariate {change.covariate!r} to change; "
                    f"it has {names}"
                )
            if not known[change.covariate].future:
                raise InvalidSeries(
                    f"the covariate {change.covariate!r} is known for the past only: "
                    "a scenario changes what is known ahead"
                )
    return series


def _changed(
    given: Covariate, span: tuple[Any, Any], changes: Sequence[Change]
) -> Covariate:
    values = given.values.copy()
    for change in changes:
        if change.covariate != given.name:
            continue
        hit = (given.times >= span[0]) & (given.times <= span[1])
        if change.start is not None:
            hit &= given.times >= change.start
        if change.end is not None:
            hit &= given.times < change.end
        if not hit.any():
            raise InvalidSeries(
                f"the change of {given.name!r} touches none of its values from "
                f"{span[0]} on: check its start and end"
            )
        values[hit] = values[hit] * change.multiply + change.add
    return replace(given, values=values)
