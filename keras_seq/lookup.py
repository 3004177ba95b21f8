"""Parts of a tensor by their numbers."""

from typing import Any

import keras
from keras import ops

from keras_seq.typing import Tensor


def take(values: Any, index: Tensor, axis: int = 0) -> Tensor:
    """`values[index]` along an axis; no index is negative."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # keras.ops.take looks for negative indices first, at the price of three more operators.
        return tf.gather(values, index, axis=axis)
    return ops.take(ops.convert_to_tensor(values), index, axis=axis)
