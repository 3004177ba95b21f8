"""Activations that mean something else in Keras 3."""

import keras
from keras import ops

from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
def hard_sigmoid_keras2(x: Tensor) -> Tensor:
    """Returns `clip(0.2 x + 0.5, 0, 1)`, Keras 2's `hard_sigmoid`; Keras 3 has x / 6 in it."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)
