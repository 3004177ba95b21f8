"""Products of int8 numbers, as `keras.Model.quantize` makes them, in float32.

A product of two of them is at most 2^14, and float32 adds up whole numbers exactly to 2^24.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from export.keras_layers.patching import get_backend_function, replace_function
from keras_seq.typing import Tensor


def _in_float32(stock: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Returns a product of tensors, without int8 operators, which few runtimes have."""

    def multiply(*operands: Any, **kwargs: Any) -> Tensor:
        tensors = [operand for operand in operands if not isinstance(operand, str)]
        if not all(getattr(tensor, "dtype", None) in (tf.int8, "int8") for tensor in tensors):
            return stock(*operands, **kwargs)
        floats = [x if isinstance(x, str) else tf.cast(x, tf.float32) for x in operands]
        return tf.cast(tf.round(stock(*floats, **kwargs)), tf.int32)

    return multiply


RULES = tuple(
    rule
    for name in ("matmul", "einsum")
    for rule in replace_function("numpy", name, _in_float32(get_backend_function("numpy", name)))
)
