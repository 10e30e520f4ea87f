"""LSTM: a small recurrent network that learns from all series of a panel."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from forecasting.models import Case, Fitted, Regime, global_model, never
from forecasting.networks import Architecture
from forecasting.training import cost_ms, restore, train

_UNITS = 48
_STEP_MS = 4.0


def _encode(layers: Any, tokens: Any) -> Any:
    # The weights are drawn by the caller; zeros only make building fast.
    zeros = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
    return layers.LSTM(_UNITS, **zeros)(tokens)


def _cost(regime: Regime) -> float:
    return cost_ms(regime.points, series=regime.series, step_ms=_STEP_MS)


_LSTM = Architecture(name="lstm", encode=_encode)


@global_model(
    "lstm",
    suits=never,
    cost=_cost,
    restore=partial(restore, architecture=_LSTM),
    covariates=True,
)
def lstm(cases: Sequence[Case]) -> Fitted:
    """Correct the seasonal naive with a recurrent network over the last seasons.

    Args:
        cases: histories of the same season and horizon, in any unit; the seed of the
            first one counts.

    Returns:
        The fitted model.

    Raises:
        ModelUnfit: the histories are too short, the optional extra is not installed,
            or the training failed.

    References:
        Hochreiter & Schmidhuber, Long Short-Term Memory, Neural Computation 9 (1997).
    """
    return train(cases, architecture=_LSTM)
