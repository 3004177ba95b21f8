"""Elementary functions that a runtime lacks, made of those that every runtime has."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.ops import nn

from export.keras_layers.patching import replace_where_lacking
from keras_seq.typing import Tensor

_normalize = nn._normalize


def _to_float(x: Any) -> Tensor:
    x = tf.convert_to_tensor(x)
    return x if x.dtype.is_floating else tf.cast(x, tf.float32)


def arctan(x: Any) -> Tensor:
    x = _to_float(x)
    return tf.math.atan2(x, tf.ones_like(x))


def arcsin(x: Any) -> Tensor:
    x = _to_float(x)
    return tf.math.atan2(x, tf.sqrt((1 - x) * (1 + x)))


def arccos(x: Any) -> Tensor:
    x = _to_float(x)
    return tf.math.atan2(tf.sqrt((1 - x) * (1 + x)), x)


def arcsinh(x: Any) -> Tensor:
    x = _to_float(x)
    size = tf.abs(x)  # Of a negative number the sum would cancel.
    return tf.sign(x) * log1p(size + size * size / (1 + tf.sqrt(size * size + 1)))


def arccosh(x: Any) -> Tensor:
    x = _to_float(x)
    return tf.math.log(x + tf.sqrt((x - 1) * (x + 1)))


def arctanh(x: Any) -> Tensor:
    x = _to_float(x)
    return (log1p(x) - log1p(-x)) / 2


def sinh(x: Any) -> Tensor:
    x = _to_float(x)
    return (tf.exp(x) - tf.exp(-x)) / 2


def cosh(x: Any) -> Tensor:
    x = _to_float(x)
    return (tf.exp(x) + tf.exp(-x)) / 2


def tan(x: Any) -> Tensor:
    x = _to_float(x)
    return tf.sin(x) / tf.cos(x)


def expm1(x: Any) -> Tensor:
    """exp(x) - 1; (exp(x) - 1) x / log(exp(x)) keeps the digits of a small x (Kahan)."""
    x = _to_float(x)
    power = tf.exp(x)
    digits = (power - 1) * x / tf.math.log(tf.where(tf.equal(power, 1.0), 2.0, power))
    return tf.where(tf.equal(power, 1.0), x, tf.where(tf.abs(x) < 1, digits, power - 1))


def log1p(x: Any) -> Tensor:
    """log(1 + x), with the digits of a small x (Kahan)."""
    x = _to_float(x)
    total = 1 + x
    change = total - 1
    digits = tf.math.log(total) * x / tf.where(tf.equal(change, 0.0), 1.0, change)
    return tf.where(tf.equal(change, 0.0), x, tf.where(tf.abs(x) < 1, digits, tf.math.log(total)))


def _polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Returns the polynomial, the highest power first."""
    value = tf.zeros_like(x)
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


# x P(x²) / Q(x²) on [-4, 4], where float32 ends: Eigen's rational approximation of erf.
ERF_P = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
    -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
ERF_Q = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
    -1.42647390514189e-02,
)  # fmt: skip


def erf(x: Any) -> Tensor:
    x = tf.clip_by_value(_to_float(x), -4.0, 4.0)
    return x * _polynomial(x * x, ERF_P) / _polynomial(x * x, ERF_Q)


def erfc(x: Any) -> Tensor:
    return 1 - erf(x)


# In w = -log(1 - x²): the centre and the tails (Giles 2010, "Approximating the erfinv function").
CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
    -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
TAILS = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
    0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


def erfinv(x: Any) -> Tensor:
    x = _to_float(x)
    w = -tf.math.log((1 - x) * (1 + x))
    centre = _polynomial(w - 2.5, CENTRE)
    tails = _polynomial(tf.sqrt(tf.maximum(w, 0.0)) - 3, TAILS)
    return tf.where(w < 5, centre, tails) * x


def softplus(x: Any) -> Tensor:
    """log(1 + exp(x)), also where exp(x) is too large for float32."""
    x = _to_float(x)
    return tf.maximum(x, 0.0) + log1p(tf.exp(-tf.abs(x)))


def log_sigmoid(x: Any) -> Tensor:
    return -softplus(-_to_float(x))


def gelu(x: Any, approximate: bool = True) -> Tensor:
    x = _to_float(x)
    if approximate:
        return tf.nn.gelu(x, approximate=True)
    return x * (1 + erf(x / math.sqrt(2))) / 2


def normalize(x: Any, axis: int = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """As `keras.ops.normalize`: rsqrt of zero is no number in TFLite."""
    if order != 2:
        return _normalize(x, axis=axis, order=order, epsilon=epsilon)
    x = _to_float(x)
    smallest = keras.config.epsilon() if epsilon is None else epsilon
    total = tf.reduce_sum(tf.square(x), axis=axis, keepdims=True)
    return x / tf.maximum(tf.sqrt(total), smallest)


FUNCTIONS = tuple(
    rule
    for module, functions in {
        "numpy": (
            arctan, arcsin, arccos, arcsinh, arccosh, arctanh, sinh, cosh, tan, expm1, log1p,
        ),
        "math": (erf, erfc, erfinv),
        "nn": (gelu, log_sigmoid, softplus),
    }.items()
    for function in functions
    for rule in replace_where_lacking(module, function.__name__, function)
)  # fmt: skip

RULES = (
    (nn, "_normalize", normalize),
    *FUNCTIONS,
)
