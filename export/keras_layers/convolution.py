"""Convolutions in groups and transposed ones with gaps, as plain convolutions."""

from typing import Any

import keras
import tensorflow as tf

from export.keras_layers.patching import (
    get_backend_function,
    replace_function,
    replace_where_lacking,
)
from keras_seq.typing import Tensor

_conv = get_backend_function("nn", "conv")
_conv_transpose = get_backend_function("nn", "conv_transpose")


def conv(
    inputs: Tensor,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """As `keras.ops.conv`; Keras compiles a convolution in groups, one for each part here."""
    kernel = tf.convert_to_tensor(kernel)
    data_format = data_format or keras.config.image_data_format()
    axis = -1 if data_format == "channels_last" else 1
    groups = inputs.shape[axis] // kernel.shape[-2]
    if groups == 1:
        return _conv(inputs, kernel, strides, padding, data_format, dilation_rate)
    parts = zip(tf.split(inputs, groups, axis), tf.split(kernel, groups, -1), strict=True)
    outputs = [_conv(x, w, strides, padding, data_format, dilation_rate) for x, w in parts]
    return tf.concat(outputs, axis)


def conv_transpose(
    inputs: Tensor,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """As `keras.ops.conv_transpose`, with zeros in the gaps of a dilated kernel."""
    kernel = tf.convert_to_tensor(kernel)
    axes = len(kernel.shape) - 2
    rates = (dilation_rate,) * axes if isinstance(dilation_rate, int) else tuple(dilation_rate)
    for axis, rate in enumerate(rates):
        size = kernel.shape[axis]
        after = [[0, rate - 1] if i == axis + 1 else [0, 0] for i in range(axes + 3)]
        wide = tf.pad(tf.expand_dims(kernel, axis + 1), after)
        shape = [*kernel.shape[:axis], size * rate, *kernel.shape[axis + 1 :]]
        kernel = tf.gather(tf.reshape(wide, shape), range((size - 1) * rate + 1), axis=axis)
    return _conv_transpose(inputs, kernel, strides, padding, output_padding, data_format, 1)


RULES = (
    *replace_function("nn", "conv", conv),
    *replace_where_lacking("nn", "conv_transpose", conv_transpose),
)
