"""LightGBM: direct forecasts of a whole panel by boosted trees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.fitting import contained_fit
from forecasting.models import Case, Regime, global_model
from forecasting.sampling import suits_trees, trained_rows
from forecasting.trees import Examples, FittedTrees, Matrix, fit_trees, restore_trees

# One thread, everywhere: a forked worker hangs in OpenMP threads it did not start.
_PARAMETERS = {
    "num_threads": 1,
    "verbose": -1,
    "learning_rate": 0.05,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
}
_SMALL = {"num_leaves": 15, "min_data_in_leaf": 20}
_LARGE = {"num_leaves": 31, "min_data_in_leaf": 60}
_ROUNDS_SMALL, _ROUNDS_LARGE = 200, 400


@dataclass(frozen=True)
class _Booster:
    booster: Any

    def predict(self, matrix: Matrix) -> FloatArray:
        return np.asarray(self.booster.predict(matrix, num_threads=1))

    def contributions(self, matrix: Matrix) -> FloatArray:
        found = self.booster.predict(matrix, pred_contrib=True, num_threads=1)
        return np.asarray(found)

    def text(self) -> str:
        return str(self.booster.model_to_string())


def _load(text: str) -> _Booster:
    from lightgbm import Booster  # noqa: PLC0415 - see _train

    return _Booster(Booster(model_str=text))


def _train(examples: Examples) -> _Booster:
    # Importing it here keeps the parent of forked workers free of OpenMP.
    from lightgbm import Dataset, train  # noqa: PLC0415

    parameters = _PARAMETERS | {
        **(_LARGE if examples.many else _SMALL),
        # Errors of one series are of one size; those of a panel are not, whatever the
        # scale, and squares of a few series would decide about all.
        "objective": "l2" if examples.series == 1 else "l1",
        "seed": examples.seed,
    }
    with contained_fit("lightgbm"):
        rows = Dataset(
            examples.matrix,
            label=examples.target,
            params=parameters,
            categorical_feature=list(examples.categories),
        )
        rounds = _ROUNDS_LARGE if examples.many else _ROUNDS_SMALL
        return _Booster(train(parameters, rows, num_boost_round=rounds))


def _cost(regime: Regime) -> float:
    # Measured on M3, M4, NN5 and GEFCom 2012: the fit is shared by the panel.
    row = 0.04 * (1 + 0.1 * regime.covariates)
    fit = 100 + row * trained_rows(regime)
    return fit / regime.series + 0.015 * regime.horizon


def _restore(state: bytes) -> FittedTrees:
    return restore_trees(state, load=_load)


@global_model(
    "lightgbm", suits=suits_trees, cost=_cost, restore=_restore, covariates=True
)
def lightgbm(cases: Sequence[Case]) -> FittedTrees:
    """Learn the change from the level of all series and steps with boosted trees.

    Args:
        cases: histories, each shape (n,), no NaN; everything of their contexts is used,
            the seed of the first draws the rows and the trees' samples.

    Returns:
        The fitted model; it forecasts series of any length, also of a single point.

    Raises:
        ModelUnfit: the histories are too short, never change, or the fit failed.

    References:
        Ke et al., LightGBM: A Highly Efficient Gradient Boosting Decision Tree,
        NeurIPS 2017.
    """
    return fit_trees(cases, name="lightgbm", train=_train)
