"""Random inputs that a model of Keras 2 takes, and that show what it computes."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from keras_seq.keras2.draws import draw_inputs
from tests.keras2.models import LAYERS as L


def test_ids_are_in_the_vocabulary_and_padded():
    tokens, numbers = L.Input((9,)), L.Input((9, 2))
    x = L.Concatenate()([L.Embedding(5, 3, mask_zero=True)(tokens), numbers])
    ids, floats = (tensor.numpy() for tensor in draw_inputs(tf_keras.Model([tokens, numbers], x)))
    assert set(np.unique(ids)) == {0, 1, 2, 3, 4}
    assert [list(row == 0) for row in ids[:3]] == [
        [False] * 9,
        [False] * 6 + [True] * 3,
        [True] * 3 + [False] * 6,
    ]
    assert len(np.unique(floats)) == floats.size


@pytest.mark.parametrize(
    "compute", [lambda x: x + 1, lambda x: tf.cast(tf.reshape(x, (-1, 3, 2)), tf.int32)]
)
def test_ids_that_the_model_computes(compute):
    x = L.Input((6,))
    draw_inputs(tf_keras.Model(x, L.Embedding(9, 2)(compute(x))))


def test_an_open_length_is_long_enough_for_every_layer():
    x = L.Input((None, 1))
    y = L.MaxPooling1D(4)(L.Conv1D(4, 9, strides=4)(x))
    model = tf_keras.Model(x, L.GlobalMaxPooling1D()(L.Conv1D(4, 9, strides=4)(y)))
    assert draw_inputs(model).shape[1] == 200


def test_padding_is_what_a_masking_layer_says():
    model = tf_keras.Sequential([L.Input((6, 2)), L.Masking(7.5), L.SimpleRNN(2)])
    assert (draw_inputs(model).numpy()[1, -2:] == 7.5).all()
