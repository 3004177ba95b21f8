"""Products and diagonals of tensors that few runtimes have an operator for."""

from typing import Any

import tensorflow as tf
from keras import ops

from export.keras_layers.patching import (
    get_backend_function,
    replace_function,
    replace_where_lacking,
)
from keras_seq.typing import Tensor

_cumprod = get_backend_function("numpy", "cumprod")
_diagonal = get_backend_function("numpy", "diagonal")


def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:
    """As `keras.ops.cross`; a vector of two numbers lies in a plane."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = ops.moveaxis(x1, axisa, -1), ops.moveaxis(x2, axisb, -1)
    sizes = a.shape[-1], b.shape[-1]
    a, b = (tf.pad(v, [[0, 0]] * (len(v.shape) - 1) + [[0, 3 - v.shape[-1]]]) for v in (a, b))
    turned = [tf.roll(v, shift, axis=-1) for v in (a, b) for shift in (-1, 1)]
    product = turned[0] * turned[3] - turned[1] * turned[2]
    return product[..., 2] if sizes == (2, 2) else ops.moveaxis(product, -1, axisc)


def inner(x1: Any, x2: Any) -> Tensor:
    """As `keras.ops.inner`, a sum along the last axes."""
    x1, x2 = ops.convert_to_tensor(x1), ops.convert_to_tensor(x2)
    if not len(x1.shape) or not len(x2.shape):
        return ops.multiply(x1, x2)
    return ops.tensordot(x1, x2, axes=[[-1], [-1]])


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """As `keras.ops.cumprod`, by products of ever more values."""
    x = ops.convert_to_tensor(x, dtype=dtype)
    x = ops.cast(x, "int32") if x.dtype == tf.bool else x
    x = tf.reshape(x, [-1, 1]) if axis is None else tf.experimental.numpy.moveaxis(x, axis, 0)
    if x.shape[0] is None:
        return _cumprod(x, 0) if axis is None else ops.moveaxis(_cumprod(x, 0), 0, axis)
    width = 1
    while width < x.shape[0]:
        x = x * tf.concat([tf.ones_like(x[:width]), x[:-width]], axis=0)
        width *= 2
    return tf.reshape(x, [-1]) if axis is None else tf.experimental.numpy.moveaxis(x, 0, axis)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """As `keras.ops.diagonal`, by the places of its values."""
    x = ops.moveaxis(ops.convert_to_tensor(x), (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    if rows is None or columns is None:
        return _diagonal(x, offset, -2, -1)
    places = [i * columns + i + offset for i in range(rows) if 0 <= i + offset < columns]
    flat = ops.reshape(x, (*ops.shape(x)[:-2], rows * columns))
    return ops.take(flat, places, axis=-1)


RULES = (
    *replace_function("numpy", "inner", inner),
    *replace_function("numpy", "cross", cross),
    *replace_where_lacking("numpy", "cumprod", cumprod),
    *replace_where_lacking("numpy", "diagonal", diagonal),
)
