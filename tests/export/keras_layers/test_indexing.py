"""Indexes with new axes in a model of open sizes, each against plain Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from benchmarks.coverage_ops import Apply
from export.keras_layers.indexing import get_item
from tests.export.helpers import assert_exports

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")

INDEXES = [
    (None,),
    (slice(None), None),
    (Ellipsis, None),
    (Ellipsis, None, slice(1, 3)),
    (slice(None), None, 0, None),
    (0, None, Ellipsis, None, -1),
    (slice(None, None, -1), slice(1, None), None, None),
    (None, Ellipsis),
    (2, slice(None), None),
]


@pytest.mark.parametrize("index", INDEXES)
def test_an_index_is_that_of_numpy(index):
    np.testing.assert_array_equal(get_item(tf.constant(X), index), X[index])


def test_without_new_axes_an_index_stays_as_it_is():
    x = tf.constant(X)
    np.testing.assert_array_equal(get_item(x, tf.constant(1)), X[1])
    np.testing.assert_array_equal(get_item(x, x > 0), X[X > 0])
    np.testing.assert_array_equal(get_item(x, slice(0, 2)), X[:2])


def test_open_lengths(tmp_path):
    x = keras.Input((None, 4), name="x")
    outer = Apply(lambda a: a[:, :, None] - a[:, None], "outer")(x)
    causal = layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    model = keras.Model(x, {"outer": outer[..., 0], "causal": causal})
    assert_exports(model, tmp_path / "b", {"x": X})
