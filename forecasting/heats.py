"""Run the members through the backtest in heats: who is hopeless runs no further.

The first heat is the oldest windows, on a sample of a large group. It only drops
models that lie far behind; the gate proper looks at everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from forecasting.backtest import Problem, Trial, try_global, try_local
from forecasting.blend import gate, group_losses, measure
from forecasting.members import Line
from forecasting.models import registered_models
from forecasting.telling import Tell

# A large group is looked at through a sample first.
_SAMPLE = 60
_LEAST_TO_SAMPLE = 120
# The first heat has a sixth of the windows, and at least two; with fewer than twice
# that in all there is only one heat.
_SHARE_OF_WINDOWS = 6
_LEAST_WINDOWS = 2
# A member this many times as bad as the best one on the first heat is hopeless.
_HOPELESS = 1.6


@dataclass
class Heats:
    """What became of the members.

    Attributes:
        names: those that ran on every series and window.
        left_out: why the others did not.
    """

    names: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)


def run_all(
    problems: Sequence[Problem], trials: Sequence[Trial], *, line: Line, tell: Tell
) -> Heats:
    """Run every member on every series and window.

    Args:
        problems: the series.
        trials: their windows, which are filled.
        line: the members.
        tell: hears of progress.

    Returns:
        All of them.
    """
    _run_global(problems, trials, line, tell)
    _run_local(problems, trials, _local(line.names), tell)
    return Heats(line.names)


def run_heats(
    problems: Sequence[Problem], trials: Sequence[Trial], *, line: Line, tell: Tell
) -> Heats:
    """Run the members, leaving out those that failed everywhere or are hopeless.

    Args:
        problems: the series.
        trials: their windows, which are filled.
        line: the members.
        tell: hears of progress.

    Returns:
        The members that ran on every series and window, and why others did not.
    """
    heats = Heats(line.names)
    _run_global(problems, trials, line, tell)
    sample = _sampled(len(problems))
    some = [problems[place] for place in sample], [trials[place] for place in sample]
    first = [_first_windows(trial) for trial in some[1]]
    _run_local(*some, _local(heats.names), tell, windows=first)
    heats.left_out |= untested(some[1], heats.names, windows=first)
    _keep(heats)
    _drop_hopeless(heats, some[1], first)
    rest = [
        [w for w in range(len(trial.cutoffs)) if w not in set(done)]
        for trial, done in zip(some[1], first, strict=True)
    ]
    _run_local(*some, _local(heats.names), tell, windows=rest)
    if len(sample) < len(problems):
        _drop_behind(heats, some[1])
        others = [place for place in range(len(problems)) if place not in set(sample)]
        _run_local(
            [problems[place] for place in others],
            [trials[place] for place in others],
            _local(heats.names),
            tell,
        )
    return heats


def _local(names: Sequence[str]) -> list[str]:
    models = registered_models()
    return [name for name in names if models[name].local is not None]


def _run_global(
    problems: Sequence[Problem], trials: Sequence[Trial], line: Line, tell: Tell
) -> None:
    models = registered_models()
    for name in line.names:
        if models[name].local is None:
            tell(0.0, f"backtesting {name}")
            try_global(problems, trials, model=models[name], refits=line.refits)


def _run_local(
    problems: Sequence[Problem],
    trials: Sequence[Trial],
    names: Sequence[str],
    tell: Tell,
    *,
    windows: Sequence[Sequence[int]] | None = None,
) -> None:
    models = registered_models()
    for row, (problem, trial) in enumerate(zip(problems, trials, strict=True)):
        tell(row / len(problems), f"backtesting {problem.unique_id}")
        chosen = range(len(trial.cutoffs)) if windows is None else windows[row]
        for name in names:
            try_local(problem, trial, model=models[name], windows=chosen)


def _sampled(count: int) -> Sequence[int]:
    if count < _LEAST_TO_SAMPLE:
        return range(count)
    return sorted({int(one) for one in np.linspace(0, count - 1, _SAMPLE)})


def _first_windows(trial: Trial) -> Sequence[int]:
    windows = len(trial.cutoffs)
    first = max(_LEAST_WINDOWS, windows // _SHARE_OF_WINDOWS)
    # Windows are numbered latest first: the oldest ones come last.
    return range(windows - first if windows >= 2 * first else 0, windows)


def untested(
    trials: Sequence[Trial],
    names: Sequence[str],
    *,
    windows: Sequence[Sequence[int]] | None = None,
) -> dict[str, str]:
    """Name the models that failed in every window of every series, and why.

    Args:
        trials: one a series.
        names: of the models.
        windows: those that were run, one list a series; None for all.

    Returns:
        The first failure of each; empty where there is no window.
    """
    ran = windows or [range(len(trial.cutoffs)) for trial in trials]
    tested = sum(len(done) for done in ran)
    found = {}
    for name in names:
        failed = [
            trial.failures[name][window]
            for trial, done in zip(trials, ran, strict=True)
            for window in done
            if window in trial.failures.get(name, {})
        ]
        if tested and len(failed) == tested:
            found[name] = failed[0]
    return found


def _drop_hopeless(
    heats: Heats, trials: Sequence[Trial], windows: Sequence[Sequence[int]]
) -> None:
    if all(
        len(done) == len(t.cutoffs) for t, done in zip(trials, windows, strict=True)
    ):
        return
    seen = [trial.some(done) for trial, done in zip(trials, windows, strict=True)]
    pooled = group_losses(measure(seen, names=heats.names))
    if np.isnan(pooled).all():
        return
    best = float(np.nanmin(pooled))
    for name, loss in zip(heats.names, pooled, strict=True):
        if loss > _HOPELESS * best:
            heats.left_out[name] = (
                f"left out after the first windows: its error was {loss:.3g} where the "
                f"best model's was {best:.3g} and the baseline's 1"
            )
    _keep(heats)


def _drop_behind(heats: Heats, trials: Sequence[Trial]) -> None:
    kept = gate(measure(trials, names=heats.names))
    for place, name in enumerate(heats.names):
        if place not in kept:
            heats.left_out[name] = (
                f"left out after a sample of {len(trials)} series, where it lay behind"
            )
    _keep(heats)


def _keep(heats: Heats) -> None:
    heats.names = tuple(name for name in heats.names if name not in heats.left_out)
