"""`keras.layers.TimeDistributed` as one call of its layer, on the steps of all rows at once."""

from typing import Any

import keras
from keras import ops

from keras_seq.typing import Tensor


def call(self: Any, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Tensor:
    """As `TimeDistributed.call`, which calls its layer once for every step.

    Layers treat the rows of a batch alike, so that `(B, T, …)` may be `(B * T, …)` to them.
    """
    kwargs = {}
    if self.layer._call_has_mask_arg and mask is not None:
        kwargs["mask"] = _rows(mask)
    if self.layer._call_has_training_arg:
        kwargs["training"] = training
    outputs = self.layer.call(_rows(inputs), **kwargs)
    return ops.reshape(outputs, (-1, *ops.shape(inputs)[1:2], *ops.shape(outputs)[1:]))


def _rows(x: Tensor) -> Tensor:
    """`(B, T, …)` to `(B * T, …)`."""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


REPLACEMENTS = ((keras.layers.TimeDistributed, "call", call),)
