"""Selects parts of a tensor by index."""

from typing import Any

import keras
from keras import ops

from keras_seq.typing import Tensor


def take(values: Any, index: Tensor, axis: int = 0) -> Tensor:
    """Returns `values[index]` along an axis; no index may be negative."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # keras.ops.take handles negative indices, which takes three more operators.
        return tf.gather(values, index, axis=axis)
    return ops.take(ops.convert_to_tensor(values), index, axis=axis)
