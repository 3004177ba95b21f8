"""Places of values, each against plain Keras."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from benchmarks.coverage_ops import Apply
from export import formats
from tests.export.helpers import assert_exports, assert_refused

X = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
X[0, 0] = [0.0, -0.0, -1.0, 0.0]  # The first of the largest counts.


def test_places_of_the_largest_and_smallest(tmp_path):
    x = keras.Input((6, 4), name="x")
    whole = ops.cast(x * 3, "int32")
    outputs = {
        "last": ops.argmax(x, axis=-1),
        "time": ops.argmin(x, axis=1, keepdims=True),
        "bits": ops.argmax(x > 0, axis=1),
        "long": ops.argmin(ops.cast(x * 3, "int64"), axis=-1),
        "whole": ops.argmax(whole, axis=1),
        "label": ops.argmax(layers.Dense(4, activation="softmax")(layers.LSTM(3)(x)), axis=-1),
        "top": Apply(lambda a: ops.in_top_k(ops.cast(a[:, 0, 0] > 0, "int32"), a[:, 1], 2), "top")(
            x
        ),
        "member": Apply(lambda a: ops.isin(ops.cast(a, "int32"), [0, 2]), "member")(x),
    }
    assert_exports(keras.Model(x, outputs), tmp_path / "b", {"x": X})


def test_roll(tmp_path):
    x = keras.Input((6, 4), name="x")
    outputs = {
        "time": ops.roll(x, 2, axis=1),
        "back": ops.roll(x, -7, axis=-1),
        "both": ops.roll(x, (1, -2), axis=(1, 2)),
        "twice": ops.roll(x, (1, 1), axis=(1, 1)),
        "bits": ops.roll(x > 0, 1, axis=1),
        "flat": Apply(lambda a: ops.map(lambda row: ops.roll(row, 5), a), "flat")(x),
    }
    assert_exports(keras.Model(x, outputs), tmp_path / "b", {"x": X})


def test_what_keras_computes_wrongly_is_refused(tmp_path):
    x = keras.Input((6, 4))
    model = keras.Model(x, Apply(lambda a: ops.argpartition(a, 2))(x))
    assert_refused(model, tmp_path, "'mine' .Apply.*argpartition.*Use", formats.NAMES)


@pytest.mark.parametrize("side", ["left", "right"])
def test_bins_of_sorted_values(side):
    from export.keras_layers.ordering import searchsorted

    bounds, values = np.array([-1.0, 0.0, 0.0, 2.0], "float32"), np.array([-2, 0, 1, 2], "float32")
    expected = np.searchsorted(bounds, values, side)
    np.testing.assert_array_equal(searchsorted(bounds, values, side), expected)
