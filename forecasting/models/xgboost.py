"""XGBoost: the same rows as LightGBM, other trees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.fitting import contained_fit
from forecasting.models import Case, Regime, global_model, never
from forecasting.sampling import trained_rows
from forecasting.trees import Examples, FittedTrees, Matrix, fit_trees, restore_trees

_ONE_THREAD = {"nthread": 1, "verbosity": 0}
_PARAMETERS = _ONE_THREAD | {
    "tree_method": "hist",
    "learning_rate": 0.05,
    "subsample": 0.7,
    "colsample_bynode": 0.7,
    "grow_policy": "lossguide",
    "max_depth": 0,
}
_SMALL = {"max_leaves": 15, "min_child_weight": 20}
_LARGE = {"max_leaves": 31, "min_child_weight": 60}
_ROUNDS_SMALL, _ROUNDS_LARGE = 200, 400


@dataclass(frozen=True)
class _Booster:
    booster: Any
    categories: tuple[int, ...]

    def predict(self, matrix: Matrix) -> FloatArray:
        rows = _rows(matrix, self.categories)
        return np.asarray(self.booster.predict(rows), dtype=np.float64)

    def contributions(self, matrix: Matrix) -> FloatArray:
        rows = _rows(matrix, self.categories)
        found = self.booster.predict(rows, pred_contribs=True)
        return np.asarray(found, dtype=np.float64)

    def text(self) -> str:
        return str(self.booster.save_raw("json").decode())


def _rows(
    matrix: Matrix, categories: tuple[int, ...], target: FloatArray | None = None
) -> Any:
    # Importing it here keeps the parent of forked workers free of OpenMP.
    from xgboost import DMatrix  # noqa: PLC0415

    kinds = ["c" if i in categories else "float" for i in range(matrix.shape[1])]
    return DMatrix(
        matrix,
        label=target,
        feature_types=kinds,
        enable_categorical=bool(categories),
        nthread=1,
    )


def _load(text: str) -> _Booster:
    from xgboost import Booster  # noqa: PLC0415 - see _rows

    booster = Booster(dict(_ONE_THREAD), model_file=bytearray(text.encode()))
    kinds = booster.feature_types or []
    return _Booster(booster, tuple(i for i, k in enumerate(kinds) if k == "c"))


def _train(examples: Examples) -> _Booster:
    from xgboost import train  # noqa: PLC0415 - see _rows

    # The objectives are LightGBM's, for the same reasons.
    error = "squarederror" if examples.series == 1 else "absoluteerror"
    parameters = _PARAMETERS | {
        **(_LARGE if examples.many else _SMALL),
        "objective": f"reg:{error}",
        "seed": examples.seed,
    }
    rounds = _ROUNDS_LARGE if examples.many else _ROUNDS_SMALL
    with contained_fit("xgboost"):
        rows = _rows(examples.matrix, examples.categories, examples.target)
        return _Booster(train(parameters, rows, rounds), examples.categories)


def _cost(regime: Regime) -> float:
    # Measured as LightGBM's; these trees cost more than twice as much to grow.
    row = 0.09 * (1 + 0.1 * regime.covariates)
    fit = 200 + row * trained_rows(regime)
    return fit / regime.series + 0.01 * regime.horizon


def _restore(state: bytes) -> FittedTrees:
    return restore_trees(state, load=_load)


# "auto" has LightGBM: their average was no better than more seeds of it, at thrice the
# CPU time.
@global_model("xgboost", suits=never, cost=_cost, restore=_restore, covariates=True)
def xgboost(cases: Sequence[Case]) -> FittedTrees:
    """Learn the change from the level of all series and steps with boosted trees.

    Args:
        cases: histories, each shape (n,), no NaN; everything of their contexts is used,
            the seed of the first draws the rows and the trees' samples.

    Returns:
        The fitted model; it forecasts series of any length, also of a single point.

    Raises:
        ModelUnfit: the histories are too short, never change, or the fit failed.

    References:
        Chen & Guestrin, XGBoost: A Scalable Tree Boosting System, KDD 2016.
    """
    return fit_trees(cases, name="xgboost", train=_train)
