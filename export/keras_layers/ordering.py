"""The places of values among others: `argmax`, `argmin`, ranks, and places moved by `roll`."""

from typing import Any

import tensorflow as tf
from keras import ops

from export.formats.layers import describe_current_layer
from export.keras_layers.patching import replace_function
from keras_seq.errors import UserError
from keras_seq.typing import Tensor


def find_extreme(
    find: Any, x: Tensor, axis: int | None, keepdims: bool, dtype: str = "int32"
) -> Tensor:
    """Returns the index of an extreme value along `axis`, of the flat tensor if that is None."""
    x = tf.convert_to_tensor(x)
    flat = tf.reshape(x, [-1]) if axis is None or not x.shape.rank else x
    if not x.dtype.is_floating and x.dtype != tf.int32:
        # TFLite finds the place of few kinds of integers, and compares all.
        values = tf.cast(flat, tf.int64)
        reduce = tf.reduce_max if find is tf.argmax else tf.reduce_min
        extreme = reduce(values, axis=axis or 0, keepdims=True)
        flat, find = tf.cast(tf.equal(values, extreme), tf.int32), tf.argmax
    index = find(flat, axis=axis or 0, output_type=dtype)
    if not keepdims:
        return index
    return tf.reshape(index, [1] * x.shape.rank) if axis is None else ops.expand_dims(index, axis)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """As `keras.ops.argmax`, which tells -0.0 from 0.0 by its bits; no runtime has bits."""
    return find_extreme(tf.argmax, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """As `keras.ops.argmin`; see `argmax`."""
    return find_extreme(tf.argmin, x, axis, keepdims)


def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """As `keras.ops.in_top_k`: fewer than `k` predictions are larger than the target's."""
    predictions = tf.convert_to_tensor(predictions)
    is_target = tf.equal(tf.cast(targets, tf.int32)[:, None], tf.range(predictions.shape[-1]))
    value = tf.reduce_sum(tf.where(is_target, predictions, 0.0), axis=1, keepdims=True)
    larger = tf.reduce_sum(tf.cast(predictions > value, tf.int32), axis=1)
    return tf.reduce_any(is_target, axis=1) & (larger < k)


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """As `keras.ops.searchsorted`: the number of values that come before."""
    values = tf.convert_to_tensor(values)[..., None]
    bounds = tf.cast(sorted_sequence, values.dtype)
    before = bounds < values if side == "left" else bounds <= values
    return tf.reduce_sum(tf.cast(before, tf.int32), axis=-1)


def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """As `keras.ops.isin`: each value compared with all others."""
    x1, x2 = ops.convert_to_tensor(x1), ops.reshape(x2, (-1,))
    found = tf.reduce_any(tf.equal(x1[..., None], tf.cast(x2, x1.dtype)), axis=-1)
    return tf.logical_not(found) if invert else found


def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """As `keras.ops.roll`, which TFLite has no operator for: each value fetched from its place."""
    x = tf.convert_to_tensor(x)
    if axis is None:
        return tf.reshape(roll(tf.reshape(x, [-1]), shift, 0), tf.shape(x))
    axes, shifts = ([axis], [shift]) if isinstance(axis, int) else (axis, tf.unstack(shift))
    for one, steps in zip(axes, shifts, strict=True):
        length = tf.shape(x)[one]
        x = tf.gather(x, (tf.range(length) - steps) % tf.maximum(length, 1), axis=one)
    return x


def argpartition(x: Any, kth: int, axis: int = -1) -> Tensor:
    """Refuses `keras.ops.argpartition`, which rounds numbers and mixes the rows of a batch.

    Raises:
        UserError: Always.
    """
    layer = describe_current_layer() or "the model"
    raise UserError(
        f"{layer[0].upper()}{layer[1:]} cannot be exported: keras.ops.argpartition rounds numbers "
        "to integers, and its answer for a row depends on the other rows. Use keras.ops.argsort or "
        "keras.ops.top_k."
    )


RULES = (
    *replace_function("numpy", "roll", roll),
    *replace_function("numpy", "argpartition", argpartition),
    *replace_function("numpy", "isin", isin),
    *replace_function("math", "in_top_k", in_top_k),
    *replace_function("numpy", "searchsorted", searchsorted),
    *replace_function("numpy", "argmax", argmax),
    *replace_function("numpy", "argmin", argmin),
)
