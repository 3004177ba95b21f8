"""What a user reads of an error that a library raised."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq.errors import quote_error


class Shift(keras.layers.Layer):
    def call(self, x):
        return tf.roll(x, [1, 2], [1])


def test_an_error_inside_a_layer_is_quoted_without_its_surroundings():
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        Shift()(np.zeros((1, 2, 3), "float32"))
    assert "Exception encountered" in str(error.value)
    assert quote_error(error.value) == "shift and axis must have the same size"


def test_an_error_of_a_graph_is_quoted_without_places():
    @tf.function
    def divide(x):
        return x // 0

    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        divide(tf.constant(1))
    assert "Detected at node" in str(error.value)
    assert quote_error(error.value) == "Integer division by zero"


def test_a_long_error_is_cut():
    assert quote_error(ValueError("a" * 500), 10) == "aaaaaaaaa…"
