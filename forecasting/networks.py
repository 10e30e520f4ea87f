"""Networks of the deep models: Keras layers on JAX, compiled once for each shape.

The libraries are an optional extra, so they are imported only where a network is
needed, and with settings that keep them on one thread of the CPU.
"""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from forecasting.errors import ModelUnfit
from forecasting.sequences import TOKENS

# Rows of a batch; shapes with a fixed number are traced in half the time.
BATCH = 64
_PER_STEP = 4
_HIDDEN = 16
_SETTINGS = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
# Costs a quarter less CPU time to compile, and no more to run.
_COMPILER = {"xla_backend_optimization_level": 1}

Encode: TypeAlias = Callable[[Any, Any], Any]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What distinguishes one deep model from another.

    Attributes:
        name: the public name of the model.
        encode: (keras.layers, tokens) -> one vector of each row. Its layers may start
            with any weights: all whose name holds "kernel" are drawn afterwards.
    """

    name: str
    encode: Encode


@dataclass(frozen=True)
class Network:
    """Compiled functions of one architecture and one shape.

    Attributes:
        step: (weights, slots, rate, tokens, ahead, target, weight of each step) ->
            weights and slots of the optimiser after one batch.
        forward: (weights, tokens, ahead) -> corrections, shape (batch, steps).
        layout: what each array of weights starts with, and whether noise is added.
        slots: of the optimiser, before the first step.
    """

    step: Callable[..., Any]
    forward: Callable[..., Any]
    layout: tuple[tuple[Any, bool], ...]
    slots: Any

    def start(self, seed: int) -> Any:
        """Draw the weights to start from, in one vector of single precision."""
        rng = np.random.default_rng(seed)
        parts = []
        for values, drawn in self.layout:
            # The geometric mean of what goes in and out keeps the size of signals.
            limit = np.sqrt(3 / np.sqrt(values.size)) if drawn else 0.0
            noise = rng.uniform(-limit, limit, size=values.shape)
            parts.append((values + noise).ravel())
        return np.concatenate(parts).astype(np.float32)


def load(name: str) -> tuple[Any, Any]:
    """Import Keras and JAX, on one thread of the CPU.

    Args:
        name: the model, for the message.

    Returns:
        The modules keras and jax.

    Raises:
        ModelUnfit: the optional extra is not installed, or Keras was told to run on
            something else than JAX.
    """
    for variable, value in _SETTINGS.items():
        os.environ.setdefault(variable, value)
    try:
        with warnings.catch_warnings():
            # What the libraries find old about each other is not the caller's matter.
            warnings.simplefilter("ignore")
            # Imported here, their threads stay out of the parent of the workers.
            import jax.flatten_util  # noqa: PLC0415
            import keras  # type: ignore[import-untyped]  # noqa: PLC0415 - has no types
    except ImportError as error:
        raise ModelUnfit(
            f"{name} needs the optional extra 'deep': pip install --require-hashes "
            f"-r requirements/deep.txt ({error})"
        ) from error
    backend = keras.config.backend()
    if backend != "jax":
        raise ModelUnfit(f"{name} needs KERAS_BACKEND=jax and found {backend}")
    return keras, jax


class Shape(NamedTuple):
    """What decides the shapes of a network: one compilation each.

    Attributes:
        patch: steps of a token.
        channels: of a token.
        steps: that come out.
        features: of each of them.
    """

    patch: int
    channels: int
    steps: int
    features: int


@lru_cache(maxsize=8)
def compiled(architecture: Architecture, shape: Shape) -> Network:
    """Build and compile a network; the same shape is compiled once in a process.

    Args:
        architecture: its encoder.
        shape: of what goes in and comes out.

    Returns:
        The network.

    Raises:
        ModelUnfit: the optional extra cannot be used.

    References:
        Lai et al., Modeling Long- and Short-Term Temporal Patterns with Deep Neural
        Networks, SIGIR 2018, for the linear part beside the deep one.
    """
    keras, jax = load(architecture.name)
    layers, steps = keras.layers, shape.steps
    dense = partial(layers.Dense, kernel_initializer="zeros")
    tokens = layers.Input(batch_shape=(BATCH, TOKENS, shape.channels))
    ahead = layers.Input(batch_shape=(BATCH, steps, shape.features))
    errors = layers.Flatten()(tokens[:, :, : shape.patch])
    linear = dense(steps, name="linear")(errors)
    each = dense(steps * _PER_STEP)(architecture.encode(layers, tokens))
    each = layers.Reshape((steps, _PER_STEP))(each)
    joined = layers.Concatenate()([each, ahead, layers.Reshape((steps, 1))(linear)])
    deep = dense(1, name="deep")(dense(_HIDDEN, activation="relu")(joined))
    total = layers.Add()([layers.Reshape((steps,))(deep), linear])
    return _compile(keras, jax, keras.Model([tokens, ahead], total))


def _compile(keras: Any, jax: Any, model: Any) -> Network:
    values = [np.asarray(v.value) for v in model.trainable_variables]
    fixed = [np.asarray(v.value) for v in model.non_trainable_variables]
    # One vector instead of many arrays: the optimiser compiles in half the time.
    flat, unravel = jax.flatten_util.ravel_pytree(values)
    rule = keras.optimizers.Adam()
    rule.build([keras.Variable(flat)])
    rate_at = [v.name for v in rule.variables].index("learning_rate")

    def forward(weights: Any, tokens: Any, ahead: Any) -> Any:
        return model.stateless_call(unravel(weights), fixed, [tokens, ahead])[0]

    def loss(weights: Any, tokens: Any, ahead: Any, target: Any, weight: Any) -> Any:
        error = jax.numpy.abs(forward(weights, tokens, ahead) - target)
        return (error * weight).sum(axis=1).mean()

    def step(weights: Any, slots: Any, rate: Any, *batch: Any) -> Any:
        slope = jax.grad(loss)(weights, *batch)
        slots = [*slots[:rate_at], rate, *slots[rate_at + 1 :]]
        (after,), slots = rule.stateless_apply(slots, [slope], [weights])
        return after, slots

    still = ("linear/", "deep/")
    drawn = [
        "kernel" in v.name and not v.path.startswith(still)
        for v in model.trainable_variables
    ]
    fast = partial(jax.jit, compiler_options=_COMPILER)
    return Network(
        step=fast(step),
        forward=fast(forward),
        layout=tuple(zip(values, drawn, strict=True)),
        slots=[np.asarray(v.value) for v in rule.variables],
    )
