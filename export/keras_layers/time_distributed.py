"""`keras.layers.TimeDistributed` as one call of its layer, on the steps of all rows at once."""

import inspect
from typing import Any

import keras
from keras import ops

from keras_seq.typing import Tensor


def call(self: Any, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Tensor:
    """As `TimeDistributed.call`, which calls its layer once for every step.

    Layers treat the rows of a batch alike, so `(B, T, …)` may be `(B * T, …)` for them.
    """
    kwargs = {}
    parameters = inspect.signature(self.layer.call).parameters
    if "mask" in parameters and mask is not None:
        kwargs["mask"] = _join_steps(mask)
    if "training" in parameters:
        kwargs["training"] = training
    outputs = self.layer.call(_join_steps(inputs), **kwargs)
    return ops.reshape(outputs, (-1, *ops.shape(inputs)[1:2], *ops.shape(outputs)[1:]))


def _join_steps(x: Tensor) -> Tensor:
    """Maps `(B, T, …)` to `(B * T, …)`."""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


RULES = ((keras.layers.TimeDistributed, "call", call),)
