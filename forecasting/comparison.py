"""``compare``: a leaderboard of models on a panel."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from forecasting.arrays import FloatArray
from forecasting.errors import InvalidSeries
from forecasting.leaderboard import Contender, Window, contend, window_table
from forecasting.learning import Tell, nobody, try_all
from forecasting.members import line_up, regime_of
from forecasting.models import registered_models
from forecasting.options import AUTO, ForecastOptions, check_options
from forecasting.panel import PanelSeries, pose


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
    before it. Named models are compared with the baseline and with their blend.

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
    posed = pose(series, options=options)
    failed = tuple((series[p].unique_id, posed.failed[p]) for p in sorted(posed.failed))
    problems = list(posed.problems.values())
    if not problems:
        raise InvalidSeries("; ".join(f"{name}: {text}" for name, text in failed[:5]))
    line = line_up(regime_of(problems), options=options)
    names = tuple(dict.fromkeys((*line.names, problems[0].baseline)))
    line = replace(line, names=names, windows=options.windows)
    trials, blended = try_all(problems, line=line, options=options, tell=tell)
    means: dict[str, Sequence[FloatArray]] = {
        name: [trial.means[name] for trial in trials] for name in names
    }
    if len(names) > 1:
        means[AUTO] = blended
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
