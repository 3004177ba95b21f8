"""Fourier transforms of real numbers, for runtimes without complex ones.

A transform is a product with a matrix of cosines and one of sines, unless a format has an operator
for it. SavedModel computes as Keras does.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from export.keras_layers.patching import get_backend_function, replace_where_lacking
from keras_seq.layers.lowering import get_lowering
from keras_seq.typing import Tensor

Pair = tuple[Tensor, Tensor]


def _waves(rows: int, columns: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns cos and sin of 2 π row · column / size, `(rows, columns)` float32."""
    # The product modulo the size keeps the digits of the angle.
    angle = 2 * np.pi * (np.outer(np.arange(rows), np.arange(columns)) % size) / size
    return np.cos(angle).astype("float32"), np.sin(angle).astype("float32")


def _fit(x: Tensor, size: int) -> Tensor:
    """Returns `x` cut or padded with zeros to `size` on the last axis."""
    width = x.shape[-1]
    if width is None or width < size:
        missing = size - tf.shape(x)[-1] if width is None else size - width
        x = tf.pad(x, [[0, 0]] * (len(x.shape) - 1) + [[0, tf.maximum(missing, 0)]])
    return x[..., :size]


def _multiply(x: Tensor, matrix: np.ndarray) -> Tensor:
    """Returns `(…, n)` times a matrix."""
    return tf.tensordot(x, tf.constant(matrix), 1) if x.shape[-1] == len(matrix) else x @ matrix


def rfft(x: Any, fft_length: int | None = None) -> Pair:
    """As `keras.ops.rfft`."""
    x = tf.convert_to_tensor(x)
    size = fft_length or x.shape[-1]
    x = _fit(x, size)
    if (transform := get_lowering().rfft) is not None and (found := transform(x, size)) is not None:
        return found
    cosines, sines = _waves(size, size // 2 + 1, size)
    return _multiply(x, cosines), _multiply(x, -sines)


def irfft(x: Pair, fft_length: int | None = None) -> Tensor:
    """As `keras.ops.irfft`: every frequency but the first and the middle one counts twice."""
    real, imaginary = map(tf.convert_to_tensor, x)
    size = fft_length or 2 * (real.shape[-1] - 1)
    bins = size // 2 + 1
    cosines, sines = _waves(bins, size, size)
    weights = np.full((bins, 1), 2 / size, "float32")
    weights[0] = 1 / size
    if size % 2 == 0:
        weights[-1] = 1 / size
    real, imaginary = _fit(real, bins), _fit(imaginary, bins)
    return _multiply(real, cosines * weights) - _multiply(imaginary, sines * weights)


def fft(x: Pair) -> Pair:
    """As `keras.ops.fft`."""
    real, imaginary = map(tf.convert_to_tensor, x)
    size = real.shape[-1]
    cosines, sines = _waves(size, size, size)
    return (
        _multiply(real, cosines) + _multiply(imaginary, sines),
        _multiply(imaginary, cosines) - _multiply(real, sines),
    )


def fft2(x: Pair) -> Pair:
    """As `keras.ops.fft2`."""
    real, imaginary = fft(x)
    real, imaginary = fft((tf.linalg.matrix_transpose(real), tf.linalg.matrix_transpose(imaginary)))
    return tf.linalg.matrix_transpose(real), tf.linalg.matrix_transpose(imaginary)


def _window(window: Any, length: int, size: int) -> np.ndarray:
    """Returns the window of `length`, in the middle of `size` values."""
    if window is None:
        return np.ones(size, "float32")
    if isinstance(window, str):
        share = {"hann": 0.5, "hamming": 0.54}[window]
        values = share - (1 - share) * np.cos(2 * np.pi * np.arange(length) / length)
    else:
        values = np.asarray(window)
    before = (size - length) // 2
    return np.pad(values, (before, size - length - before)).astype("float32")


def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> Pair:
    """As `keras.ops.stft`."""
    x = tf.convert_to_tensor(x)
    if center:
        half = fft_length // 2
        x = tf.pad(x, [[0, 0]] * (len(x.shape) - 1) + [[half, half]], mode="REFLECT")
    width = x.shape[-1]
    frames = ((tf.shape(x)[-1] if width is None else width) - fft_length) // sequence_stride + 1
    index = tf.range(frames)[:, None] * sequence_stride + tf.range(fft_length)[None, :]
    parts = tf.gather(x, index, axis=-1) * _window(window, sequence_length, fft_length)
    return rfft(parts, fft_length)


def _needs_size(name: str, ours: Callable[..., Any], axes: int = 1) -> Any:
    """Returns the rules for a function on the last axes; of an open size only Keras's own does."""
    stock = get_backend_function("math", name)

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        shape = (x[0] if isinstance(x, (tuple, list)) else x).shape[-axes:]
        given = any(value is not None for value in (*args, *kwargs.values()))
        return (ours if given or None not in shape else stock)(x, *args, **kwargs)

    return replace_where_lacking("math", name, call)


RULES = (
    *_needs_size("rfft", rfft),
    *_needs_size("irfft", irfft),
    *_needs_size("fft", fft),
    *_needs_size("fft2", fft2, axes=2),
    *replace_where_lacking("math", "stft", stft),
)
