"""Elementary functions made of others, against NumPy and SciPy's values."""

import math

import keras
import numpy as np
from keras import layers, ops

from benchmarks.coverage_ops import Apply
from export.keras_layers import elementary
from tests.export.helpers import assert_exports

INSIDE = np.concatenate([np.linspace(-0.999, 0.999, 401), [1e-6, -1e-6, 0]]).astype("float32")
WIDE = np.concatenate([np.linspace(-9, 9, 401), [1e-6, -1e-6, 0]]).astype("float32")


def test_each_against_its_definition():
    for name, x in {
        "arcsin": INSIDE, "arccos": INSIDE, "arctan": WIDE, "arcsinh": WIDE, "arctanh": INSIDE,
        "sinh": INSIDE, "cosh": INSIDE, "tan": INSIDE, "expm1": INSIDE, "log1p": INSIDE,
        "arccosh": 1 + np.abs(WIDE),
    }.items():  # fmt: skip
        expected = getattr(np, name)(x.astype("float64"))
        found = getattr(elementary, name)(x)
        np.testing.assert_allclose(found, expected, rtol=3e-6, atol=2e-7, err_msg=name)
    expected = [math.erf(value) for value in WIDE.tolist()]
    np.testing.assert_allclose(elementary.erf(WIDE), expected, atol=3e-7)
    np.testing.assert_allclose(elementary.erfinv(elementary.erf(INSIDE)), INSIDE, atol=2e-6)


def test_each_in_the_files(tmp_path):
    names = [
        "arcsin",
        "arccos",
        "arctan",
        "arcsinh",
        "arctanh",
        "sinh",
        "cosh",
        "tan",
        "expm1",
        "erf",
        "erfc",
        "erfinv",
    ]
    x = keras.Input((5, 3), name="x")
    outputs = [Apply(getattr(ops, name), f"apply_{name}")(ops.tanh(x)) for name in names]
    outputs.append(Apply(lambda a: ops.gelu(a, approximate=False), "gelu")(x))
    outputs.append(Apply(lambda a: ops.log1p(ops.abs(a)), "log")(x))
    outputs.append(Apply(lambda a: ops.celu(a), "celu")(x))
    values = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    assert_exports(keras.Model(x, outputs), tmp_path / "b", {"x": values})


def test_activations_of_large_numbers(tmp_path):
    """exp(x) is infinite from 89 on; the activations aren't."""
    x = keras.Input((5, 3), name="x")
    names = [
        "softplus",
        "log_sigmoid",
        "mish",
        "sigmoid",
        "silu",
        "gelu",
        "elu",
        "selu",
        "tanh",
        "softsign",
        "softmax",
    ]
    outputs = [layers.Activation(name)(x) for name in names]
    values = np.linspace(-300, 300, 30).reshape(2, 5, 3).astype("float32")
    model = keras.Model(x, outputs)
    assert_exports(model, tmp_path / "b", {"x": values}, formats=["tflite"])
