"""What the tree models share: rows of a whole panel, and forecasts from their trees.

One model serves all series and steps ("direct": the step ahead is a feature). The
target is the change from the level at the cutoff, in units of the series' own
seasonal-naive error; series that are always positive are taken in logarithms.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from forecasting.arrays import FloatArray
from forecasting.cases import Case, Contributions
from forecasting.errors import ModelUnfit
from forecasting.features import Pairs, Rows, feature_rows
from forecasting.layout import LagPlan, Layout, attribute_codes, lay, lay_out
from forecasting.sampling import sample_pairs

_LEAST_CUTOFFS = 20
_MANY_ROWS = 30_000
# Rows forecast at once, so that memory does not grow with the panel.
_ROWS_AT_ONCE = 200_000
_LARGEST_EXPONENT = 700.0
_SEEDS_END = 2**31 - 1
# Averaging three takes half a per cent off the error of small panels, as it does off
# large ones; only for small ones it is worth three times the CPU time.
_SEEDS_CHEAP = 3

Matrix: TypeAlias = npt.NDArray[np.float32]


class Trees(Protocol):
    """What a library has trained."""

    def predict(self, matrix: Matrix) -> FloatArray:
        """Forecast rows, shape (r,)."""

    def contributions(self, matrix: Matrix) -> FloatArray:
        """Split the forecasts, shape (r, columns + 1); the last is the base."""

    def text(self) -> str:
        """Write the trees so that the library reads them again, bit for bit."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """What a library learns from.

    Attributes:
        matrix: features, shape (r, columns); NaN where nothing is known.
        target: shape (r,), in units of each series' seasonal-naive error.
        categories: columns that hold codes, not sizes.
        series: how many series the rows come from.
        seed: of the trees' samples, a signed 32-bit integer.
    """

    matrix: Matrix
    target: FloatArray
    categories: tuple[int, ...]
    series: int
    seed: int

    @property
    def many(self) -> bool:
        """Whether there are enough rows for larger trees."""
        return self.target.size >= _MANY_ROWS


Train: TypeAlias = Callable[[Examples], Trees]


@dataclass(frozen=True)
class FittedTrees:
    """A fitted global model.

    Attributes:
        layout: the columns of its rows.
        trees: averaged; one for each seed.
    """

    layout: Layout
    trees: tuple[Trees, ...]

    def predict(self, cases: Sequence[Case]) -> list[FloatArray]:
        """Forecast each case.

        Args:
            cases: histories, each shape (n,), no NaN, any length from 1.

        Returns:
            Means, each shape (horizon,), unit of its series.
        """
        return [mean for part in _parts(cases) for mean in self._predict_part(part)]

    def explain(self, cases: Sequence[Case]) -> list[Contributions]:
        """Split each forecast into Shapley values of its features.

        Of a series in logarithms, exp(base + sum of c) is split in proportion to c:
        each part is c times the logarithmic mean of exp(base) and the forecast. So the
        parts sum to the forecast exactly.

        References:
            Lundberg et al., From local explanations to global understanding with
            explainable AI for trees, Nat. Mach. Intell. 2 (2020) 56-67.
            Ang, Decomposition analysis for policymaking in energy, Energy Policy 32
            (2004) 1131-1139, for the logarithmic mean.
        """
        return [each for part in _parts(cases) for each in self._explain_part(part)]

    def state(self) -> bytes:
        """Write a line of JSON and the trees' texts behind it."""
        texts = [trees.text() for trees in self.trees]
        header = {"layout": asdict(self.layout), "lengths": [len(t) for t in texts]}
        return "\n".join([json.dumps(header), "".join(texts)]).encode()

    def _predict_part(self, cases: Sequence[Case]) -> list[FloatArray]:
        rows, logs = self._rows(cases)
        change = np.zeros(logs.size)
        for trees in self.trees:
            change += trees.predict(rows.matrix) / len(self.trees)
        mean = _from_domain(rows.anchor + rows.scale * change, logs)
        return _by_case(mean, cases)

    def _explain_part(self, cases: Sequence[Case]) -> list[Contributions]:
        rows, logs = self._rows(cases)
        found = np.zeros((logs.size, len(rows.parts) + 1))
        for trees in self.trees:
            found += trees.contributions(rows.matrix) / len(self.trees)
        names = tuple(dict.fromkeys(rows.parts))
        parts = np.zeros((len(names), logs.size))
        for column, part in enumerate(rows.parts):
            parts[names.index(part)] += rows.scale * found[:, column]
        start = rows.anchor + rows.scale * found[:, -1]
        mean = _from_domain(start + parts.sum(axis=0), logs)
        parts *= np.where(logs, _log_mean(_from_domain(start, logs), mean), 1.0)
        table = np.vstack((mean - parts.sum(axis=0), parts))
        return [
            Contributions(("base", *names), np.ascontiguousarray(each.T))
            for each in _by_case(table.T, cases)
        ]

    def _rows(self, cases: Sequence[Case]) -> tuple[Rows, Any]:
        tracks = lay(cases, layout=self.layout)
        horizons = [case.context.horizon for case in cases]
        series = np.repeat(np.arange(len(cases)), horizons)
        steps = np.concatenate([np.arange(1, horizon + 1) for horizon in horizons])
        pairs = Pairs(series, tracks.lengths[series] - 1, steps)
        codes = attribute_codes(cases, layout=self.layout)
        rows = feature_rows(tracks, pairs=pairs, layout=self.layout, codes=codes)
        return rows, tracks.logs[series]


def fit_trees(cases: Sequence[Case], *, name: str, train: Train) -> FittedTrees:
    """Learn one model from all cases.

    Args:
        cases: histories, each shape (n,), no NaN; the context of the first decides
            about season and horizon.
        name: the model, for messages.
        train: the library's part.

    Returns:
        The fitted model.

    Raises:
        ModelUnfit: the histories are too short to learn from.
    """
    context = cases[0].context
    _check_lengths(cases, name)
    layout, tracks = lay_out(cases)
    codes = attribute_codes(cases, layout=layout)
    pairs = sample_pairs(tracks, horizon=context.horizon, seed=context.seed)
    rows = feature_rows(tracks, pairs=pairs, layout=layout, codes=codes)
    actual = tracks.value(pairs.series, pairs.cutoffs + pairs.steps)
    usable = rows.scale > 0
    if not usable.any():
        # Series that never changed stay at their level.
        return FittedTrees(layout, ())
    target = (actual[usable] - rows.anchor[usable]) / rows.scale[usable]
    matrix = rows.matrix[usable]
    count = len(layout.attributes)
    examples = Examples(
        matrix=matrix,
        target=target,
        categories=tuple(range(matrix.shape[1] - count, matrix.shape[1])),
        series=len(cases),
        seed=context.seed % _SEEDS_END,
    )
    return FittedTrees(layout, tuple(_grow(examples, train)))


def _grow(examples: Examples, train: Train) -> Iterator[Trees]:
    cheap = examples.series > 1 and not examples.many
    for more in range(_SEEDS_CHEAP if cheap else 1):
        yield train(replace(examples, seed=(examples.seed + more) % _SEEDS_END))


def restore_trees(state: bytes, *, load: Callable[[str], Trees]) -> FittedTrees:
    """Read what `FittedTrees.state` wrote.

    Args:
        state: the bytes.
        load: reads the text of one library's trees.

    Returns:
        The same model: its forecasts are bit-equal.
    """
    line, text = state.decode().split("\n", 1)
    header = json.loads(line)
    kept = header["layout"]
    layout = Layout(
        plan=LagPlan(**kept["plan"]),
        known=tuple(kept["known"]),
        past=tuple(kept["past"]),
        attributes=tuple((n, tuple(values)) for n, values in kept["attributes"]),
        prior=kept["prior"],
    )
    ends = np.cumsum([0, *header["lengths"]])
    texts = [text[a:b] for a, b in pairwise(ends)]
    return FittedTrees(layout, tuple(load(each) for each in texts))


def _check_lengths(cases: Sequence[Case], name: str) -> None:
    context = cases[0].context
    least = 2 * context.season + context.horizon
    points = sum(case.history.size for case in cases)
    cutoffs = sum(max(case.history.size - least, 0) for case in cases)
    enough = max(_LEAST_CUTOFFS, context.season)
    if cutoffs < enough:
        needed = least * len(cases) + enough
        raise ModelUnfit(f"{name} needs {needed} points and got {points}")


def _parts(cases: Sequence[Case]) -> list[Sequence[Case]]:
    if not cases:
        return []
    longest = max(case.context.horizon for case in cases)
    at_once = max(_ROWS_AT_ONCE // longest, 1)
    return [cases[i : i + at_once] for i in range(0, len(cases), at_once)]


def _by_case(flat: FloatArray, cases: Sequence[Case]) -> list[FloatArray]:
    ends = np.cumsum([case.context.horizon for case in cases])
    return np.split(flat, ends[:-1])


def _from_domain(values: FloatArray, logs: Any) -> FloatArray:
    grown = np.exp(np.clip(values, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
    return np.where(logs, grown, values)


def _log_mean(one: FloatArray, other: FloatArray) -> FloatArray:
    # The mean whose product with log(other / one) is other - one.
    with np.errstate(all="ignore"):
        ratio = np.log(other / one)
        mean = np.asarray(one * np.expm1(ratio) / ratio)
    return np.where(np.isfinite(mean), mean, one)
