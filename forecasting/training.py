"""Training of the deep models, and what they are once trained.

Everything drawn at random comes from one NumPy generator: no global state is seeded,
and a rerun gives the same bits.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.cases import Case, Contributions
from forecasting.errors import ModelUnfit
from forecasting.fitting import contained_fit
from forecasting.networks import (
    BATCH,
    Architecture,
    Network,
    Shape,
    compiled,
    load,
)
from forecasting.sequences import (
    Rows,
    WindowPlan,
    can_be_forecast,
    cutoffs_to_learn_from,
    join_rows,
    plan_windows,
    window_rows,
)

# Windows that are learned from and judged by, over all series.
_ROWS = 4_096
_ROWS_HELD_OUT = 512
_LEAST_ROWS = 16
_EPOCHS = 30
_LEAST_EPOCHS = 4
_PATIENCE = 8
# Steps of the optimiser, for a horizon of 48; a longer one makes each step dearer.
_STEPS = 1_000
_USUAL_HORIZON = 48
_RATE = 3e-3
# CPU milliseconds to build and compile, about.
_START_MS = 3_000
_STATE = 1


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network that has learned to correct the seasonal naive.

    Attributes:
        architecture: of the network.
        plan: the layout of its windows.
        weights: all of them in one vector, single precision.
    """

    architecture: Architecture
    plan: WindowPlan
    weights: Any

    def predict(self, cases: Sequence[Case]) -> list[FloatArray]:
        """Forecast each case; one without the history or covariates gives NaN."""
        return [split.sum(axis=0) for split in self._split(cases)]

    def explain(self, cases: Sequence[Case]) -> list[Contributions]:
        """Split each forecast into the seasonal naive and what the network adds."""
        names = ("base", "network")
        return [Contributions(names, one) for one in self._split(cases)]

    def state(self) -> bytes:
        """Return one line of JSON and the weights in NumPy's own format."""
        header = {
            "state": _STATE,
            "model": self.architecture.name,
            "plan": asdict(self.plan),
        }
        archive = io.BytesIO()
        np.savez(archive, weights=self.weights)
        return json.dumps(header).encode() + b"\n" + archive.getvalue()

    def _split(self, cases: Sequence[Case]) -> list[FloatArray]:
        found = [np.full((2, case.context.horizon), np.nan) for case in cases]
        able = [i for i, one in enumerate(cases) if can_be_forecast(one, self.plan)]
        if not able:
            return found
        last = [(cases[i], np.array([cases[i].history.size - 1])) for i in able]
        rows = join_rows(
            [window_rows(case, cutoffs=end, plan=self.plan) for case, end in last]
        )
        network = _compiled(self.architecture, rows, self.plan)
        added = _forward(network, self.weights, rows)[:, : self.plan.horizon]
        both = np.stack([rows.naive, added * rows.scale[:, None]], axis=1)
        for i, split in zip(able, both, strict=True):
            found[i] = split[:, : cases[i].context.horizon]
        return found


def restore(state: bytes, *, architecture: Architecture) -> Trained:
    """Make a trained network of its state.

    Args:
        state: as ``Trained.state`` gave it.
        architecture: of the model that gave it.

    Returns:
        A network with bit-equal forecasts.

    Raises:
        ValueError: the state is of another model or another layout.
    """
    line, _, archive = state.partition(b"\n")
    header = json.loads(line)
    if (header["state"], header["model"]) != (_STATE, architecture.name):
        raise ValueError(
            f"{architecture.name} reads its own states in layout {_STATE}, not one of "
            f"{header['model']} in layout {header['state']}"
        )
    told = header["plan"]
    names = {key: tuple(told[key]) for key in ("past", "ahead")}
    plan = WindowPlan(**told | names)
    weights = np.load(io.BytesIO(archive), allow_pickle=False)["weights"]
    return Trained(architecture=architecture, plan=plan, weights=weights)


def train(cases: Sequence[Case], *, architecture: Architecture) -> Trained:
    """Train a network on windows of all cases and keep its best epoch.

    The best is told by the latest tenth of the windows. At most 4,096 windows are used
    and 1,000 batches of 64, fewer for horizons beyond 48.

    Args:
        cases: histories of the same season and horizon; the first one's seed counts.
        architecture: of the network.

    Returns:
        The trained network.

    Raises:
        ModelUnfit: the histories are too short, the extra is not installed, or the
            training failed.
    """
    plan = plan_windows(cases)
    rng = np.random.default_rng(cases[0].context.seed)
    known, held = zip(*(cutoffs_to_learn_from(c, plan) for c in cases), strict=True)
    if sum(cutoffs.size for cutoffs in known) < _LEAST_ROWS:
        longest = max(case.history.size for case in cases)
        least = plan.reach + plan.horizon + 2 * _LEAST_ROWS
        raise ModelUnfit(
            f"{architecture.name} needs about {least} points and got {longest}"
        )
    load(architecture.name)
    with contained_fit(architecture.name):
        learned = _examples(cases, _draw(known, _ROWS, rng), plan)
        judged = _examples(cases, _draw(held, _ROWS_HELD_OUT, rng), plan)
        network = _compiled(architecture, learned.rows, plan)
        weights = _learn(network, learned, judged, rng=rng)
    return Trained(architecture=architecture, plan=plan, weights=weights)


def cost_ms(points: int, *, series: int, step_ms: float) -> float:
    """Estimate the CPU milliseconds of a fit and a forecast, per series.

    Args:
        points: median length of the series in steps.
        series: how many there are.
        step_ms: of one step of the optimiser.

    Returns:
        A fixed formula of the three.

    Example:
        >>> cost_ms(1_000, series=50, step_ms=4.0)
        140.0
    """
    batches = -(-min(points * series, _ROWS) // BATCH)
    return (_START_MS + min(batches * _EPOCHS, _STEPS) * step_ms) / series


def _compiled(architecture: Architecture, rows: Rows, plan: WindowPlan) -> Network:
    channels, features = rows.tokens.shape[2], rows.ahead.shape[2]
    shape = Shape(plan.patch, channels, plan.steps, features)
    return compiled(architecture, shape)


def _draw(cutoffs: Sequence[Any], most: int, rng: np.random.Generator) -> list[Any]:
    """Keep at most so many cutoffs over all cases, each with the same chance."""
    ends = np.cumsum([one.size for one in cutoffs])
    # Sorted, those of one case stand together and can be cut off.
    kept = np.sort(rng.permutation(ends[-1])[:most])
    parts = np.split(kept, np.searchsorted(kept, ends)[:-1])
    starts = [0, *ends[:-1]]
    return [
        one[part - start]
        for one, part, start in zip(cutoffs, parts, starts, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class _Examples:
    """Rows and what the network should have put out, in units of the scale.

    Attributes:
        rows: with a scale above zero.
        target: shape (r, steps), zero beyond the horizon.
        weight: of each step, shape (steps,); sums to 1, zero beyond the horizon.
    """

    rows: Rows
    target: Any
    weight: Any


def _examples(
    cases: Sequence[Case], cutoffs: Sequence[Any], plan: WindowPlan
) -> _Examples:
    pairs = [pair for pair in zip(cases, cutoffs, strict=True) if pair[1].size]
    rows = join_rows(
        [window_rows(case, cutoffs=ends, plan=plan) for case, ends in pairs]
    )
    ahead = np.arange(1, plan.horizon + 1)
    actual = np.concatenate([c.history[ends[:, None] + ahead] for c, ends in pairs])
    useful = rows.scale > 0
    rows = rows.at(useful)
    target = np.zeros((rows.scale.size, plan.steps), dtype=np.float32)
    target[:, : plan.horizon] = (actual[useful] - rows.naive) / rows.scale[:, None]
    weight = np.zeros(plan.steps, dtype=np.float32)
    weight[: plan.horizon] = 1 / plan.horizon
    return _Examples(rows=rows, target=target, weight=weight)


def _learn(
    network: Network,
    learned: _Examples,
    judged: _Examples,
    *,
    rng: np.random.Generator,
) -> Any:
    """Return the weights of the epoch with the least error on what is held out."""
    weights, slots = network.start(int(rng.integers(2**32))), network.slots
    best, least, waited = weights, _error(network, weights, judged), 0
    count = learned.rows.scale.size
    epochs = _epochs(learned) if count and judged.rows.scale.size else 0
    for epoch in range(epochs):
        order = np.resize(rng.permutation(count), -(-count // BATCH) * BATCH)
        rate = np.float32(_RATE * (1 + np.cos(np.pi * epoch / epochs)) / 2)
        for chosen in order.reshape(-1, BATCH):
            rows = learned.rows
            batch = rows.tokens[chosen], rows.ahead[chosen], learned.target[chosen]
            weights, slots = network.step(weights, slots, rate, *batch, learned.weight)
        error = _error(network, weights, judged)
        best, least, waited = (
            (weights, error, 0) if error < least else (best, least, waited + 1)
        )
        if waited == _PATIENCE:
            break
    return np.asarray(best)


def _epochs(learned: _Examples) -> int:
    batches = -(-learned.rows.scale.size // BATCH)
    wider = max(learned.weight.size / _USUAL_HORIZON, 1.0)
    return min(_EPOCHS, max(_LEAST_EPOCHS, int(_STEPS / wider) // batches))


def _error(network: Network, weights: Any, judged: _Examples) -> float:
    if not judged.rows.scale.size:
        return 0.0
    error = np.abs(_forward(network, weights, judged.rows) - judged.target)
    return float((error @ judged.weight).mean())


def _forward(network: Network, weights: Any, rows: Rows) -> Any:
    count = rows.scale.size
    order = np.resize(np.arange(count), -(-count // BATCH) * BATCH)
    parts = [
        np.asarray(network.forward(weights, rows.tokens[some], rows.ahead[some]))
        for some in order.reshape(-1, BATCH)
    ]
    return np.concatenate(parts)[:count]
