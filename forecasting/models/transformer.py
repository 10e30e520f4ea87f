"""Transformer: a small attention network that learns from all series of a panel."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from forecasting.models import Case, Fitted, Regime, global_model, never
from forecasting.networks import Architecture
from forecasting.training import cost_ms, restore, train

_WIDTH = 32
_HEADS = 4
_BLOCKS = 2
_STEP_MS = 12.0


def _encode(layers: Any, tokens: Any) -> Any:
    dense = partial(layers.Dense, kernel_initializer="zeros")
    attention = partial(layers.MultiHeadAttention, kernel_initializer="zeros")
    found = dense(_WIDTH)(tokens) + _positions(tokens.shape[1])
    for _ in range(_BLOCKS):
        seen = layers.LayerNormalization()(found)
        found = found + attention(_HEADS, _WIDTH // _HEADS)(seen, seen)
        seen = layers.LayerNormalization()(found)
        found = found + dense(_WIDTH)(dense(2 * _WIDTH, activation="gelu")(seen))
    flat = layers.Flatten()(layers.LayerNormalization()(found))
    return dense(2 * _WIDTH, activation="gelu")(flat)


def _positions(count: int) -> Any:
    place = np.arange(count)[:, None]
    wave = 1e4 ** (-np.arange(0, _WIDTH, 2) / _WIDTH)
    angles = place * wave
    return np.hstack([np.sin(angles), np.cos(angles)])[None].astype(np.float32)


def _cost(regime: Regime) -> float:
    return cost_ms(regime.points, series=regime.series, step_ms=_STEP_MS)


_TRANSFORMER = Architecture(name="transformer", encode=_encode)


@global_model(
    "transformer",
    suits=never,
    cost=_cost,
    restore=partial(restore, architecture=_TRANSFORMER),
    covariates=True,
)
def transformer(cases: Sequence[Case]) -> Fitted:
    """Correct the seasonal naive with attention between parts of the last seasons.

    Args:
        cases: histories of the same season and horizon, in any unit; the seed of the
            first one counts.

    Returns:
        The fitted model.

    Raises:
        ModelUnfit: the histories are too short, the optional extra is not installed,
            or the training failed.

    References:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017; Nie et al., A Time
        Series is Worth 64 Words, ICLR 2023.
    """
    return train(cases, architecture=_TRANSFORMER)
