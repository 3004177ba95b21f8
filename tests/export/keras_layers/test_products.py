"""Products, diagonals and convolutions, each against plain Keras."""

import keras
import numpy as np
from keras import layers, ops

from benchmarks.coverage_ops import Apply
from tests.export.helpers import assert_exports

X = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")

FUNCTIONS = {
    "cross": lambda x: ops.cross(x[..., :3], x[..., 1:]),
    "plane": lambda x: ops.cross(x[..., :2], x[..., 2:]),
    "axis": lambda x: ops.cross(x[:, :3], x[:, 3:], axis=1),
    "cumprod": lambda x: ops.cumprod(x, axis=1),
    "diagonal": lambda x: ops.diagonal(x, 1, 1, 2),
    "lower": lambda x: ops.diagonal(x, -2, 1, 2),
    "inner": lambda x: ops.inner(x, np.array([1.0, -2, 3, 0.5], "float32")),
    "update": lambda x: ops.slice_update(x, (0, 2, 0), x[:, :3] * 2),
}


def test_products_and_diagonals(tmp_path):
    x = keras.Input((6, 4), name="x", batch_size=2)
    model = keras.Model(x, [Apply(f, name)(x) for name, f in FUNCTIONS.items()])
    assert_exports(model, tmp_path / "b", {"x": X})


def test_convolutions_in_groups_and_with_gaps(tmp_path):
    x = keras.Input((6, 4), name="x")
    outputs = {
        "groups": layers.Conv1D(6, 3, groups=2, padding="causal", dilation_rate=2)(x),
        "gaps": layers.Conv1DTranspose(3, 3, dilation_rate=2)(x),
        "same": layers.Conv1DTranspose(3, 2, dilation_rate=3, padding="same")(x),
    }
    assert_exports(keras.Model(x, outputs), tmp_path / "b", {"x": X})
