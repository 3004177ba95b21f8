"""Encodings of categories and bins, each against plain Keras."""

import keras
import numpy as np
from keras import layers

from tests.export.helpers import assert_exports

MODES = ("one_hot", "multi_hot", "count")


def test_category_encoding(tmp_path):
    ids = keras.Input((5,), dtype="int32", name="ids")
    one = keras.Input((1,), dtype="int32", name="one")
    outputs = {mode: layers.CategoryEncoding(7, mode)(ids) for mode in MODES}
    outputs["single"] = layers.CategoryEncoding(7, "one_hot")(one)
    weights = keras.Input((5,), name="weights")
    outputs["weighted"] = layers.CategoryEncoding(7, "count")(ids, count_weights=weights)
    inputs = {
        "ids": np.array([[0, 3, 3, 6, 1], [2, 2, 2, 2, 2]], "int32"),
        "one": np.array([[4], [0]], "int32"),
        "weights": np.array([[0.5, 1, 2, 3, 4], [1, 1, 1, 0, -1]], "float32"),
    }
    assert_exports(keras.Model([ids, one, weights], outputs), tmp_path / "b", inputs)


def test_discretization(tmp_path):
    x = keras.Input((4,), name="x")
    bounds = [-1.0, 0.0, 2.0]
    outputs = {mode: layers.Discretization(bounds, output_mode=mode)(x) for mode in MODES}
    outputs["bins"] = layers.Discretization(bounds)(x)
    values = np.array([[-3, -1, 0, 5], [2, 1.9, -0.1, 0.1]], "float32")
    assert_exports(keras.Model(x, outputs), tmp_path / "b", {"x": values})
