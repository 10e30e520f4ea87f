"""``compare``: a leaderboard of models on a panel."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecasting.answers import BLEND
from forecasting.arrays import FloatArray
from forecasting.backtest import Problem, baseline_of
from forecasting.errors import InvalidSeries
from forecasting.leaderboard import Contender, Window, contend, window_table
from forecasting.learning import try_all
from forecasting.members import line_up, regime_of
from forecasting.models import registered_models
from forecasting.options import AUTO, ForecastOptions, check_options
from forecasting.panel import PanelSeries, pose
from forecasting.telling import Tell, nobody


@dataclass(frozen=True)
class Comparison:
    """How models did on the same windows of a panel.

    Attributes:
        contenders: the best first, by their error relative to the baseline's.
        windows: latest first.
        left_out: models that suit but do not fit the budget.
        failed: (unique_id, what is wrong) of series that could not be used.
    """

    contenders: tuple[Contender, ...]
    windows: tuple[Window, ...]
    left_out: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


def compare(
    series: Sequence[PanelSeries], *, options: ForecastOptions, tell: Tell = nobody
) -> Comparison:
    """Backtest models on the same windows and rank them.

    With "auto" every model that suits and fits the budget is run on every series and
    window, and so is the blend of them: in each window with weights from the windows
    before it. Named models are compared with the baseline and, where there are several,
    with their blend. Series that never change have nothing to compare and are left out.

    Args:
        series: the panel.
        options: the wish; `windows` are all that is scored.
        tell: hears the share of the work that is done, and what comes next.

    Returns:
        The comparison.

    Raises:
        InvalidSeries: the options cannot be met, or no series has a window.
    """
    check_options(options, known=tuple(registered_models()))
    problems, failed = _usable(series, options)
    line = line_up(regime_of(problems), options=options)
    trials, blended = try_all(
        problems,
        line=replace(line, windows=options.windows),
        options=options,
        tell=tell,
    )
    means: dict[str, Sequence[FloatArray]] = {
        name: [trial.means[name] for trial in trials] for name in line.names
    }
    means.setdefault(baseline_of(problems), [trial.baseline for trial in trials])
    if len(line.names) > 1:
        means[BLEND if options.named else AUTO] = blended
    levels = tuple(sorted(options.quantiles))
    found = [
        contend(name, problems, trials, means=rows, levels=levels)
        for name, rows in means.items()
    ]
    contenders = [one for one in found if one is not None]
    if not contenders:
        raise InvalidSeries(
            "no series is long enough for a window of the horizon after two seasons: "
            "shorten the horizon or send more history"
        )
    contenders.sort(key=lambda one: (one.relative is None, one.relative or 0, one.name))
    return Comparison(
        contenders=tuple(contenders),
        windows=window_table(problems, trials, means=means),
        left_out=line.dropped,
        failed=failed,
    )


def _usable(
    series: Sequence[PanelSeries], options: ForecastOptions
) -> tuple[list[Problem], tuple[tuple[str, str], ...]]:
    posed = pose(series, options=options)
    failed = dict(posed.failed)
    problems = []
    for place, problem in posed.problems.items():
        if np.ptp(problem.series.values) > 0:
            problems.append(problem)
        else:
            failed[place] = "the series never changes: there is nothing to compare"
    told = tuple((series[place].unique_id, failed[place]) for place in sorted(failed))
    if not problems:
        raise InvalidSeries("; ".join(f"{name}: {text}" for name, text in told[:5]))
    return problems, told
