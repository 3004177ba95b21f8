"""Rows of a tensor by their numbers."""

from typing import Any

import keras
from keras import ops

Tensor = Any


def take(values: Any, index: Tensor) -> Tensor:
    """`values[index]` along the first axis; no index is negative."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # keras.ops.take looks for negative indices first, at the price of three more operators.
        return tf.gather(values, index)
    return ops.take(ops.convert_to_tensor(values), index, axis=0)
