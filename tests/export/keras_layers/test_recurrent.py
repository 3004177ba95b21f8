"""Recurrent layers in inference: no masks of dropout, and every step of a walk backwards."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from benchmarks.coverage_ops import Apply
from export import formats
from tests.export.helpers import assert_exports, assert_refused

X = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")


class MaskedCell(layers.LSTMCell):
    """A user's cell that asks for masks itself, and reads them in training alone."""

    def call(self, inputs, states, training=False):
        mask = self.get_dropout_mask(inputs)
        if training:
            inputs = inputs * mask
        return super().call(inputs, states, training=training)


DROPOUT = {
    "lstm": lambda: layers.LSTM(3, dropout=0.2),
    "gru": lambda: layers.GRU(3, recurrent_dropout=0.2, return_sequences=True),
    "stacked": lambda: layers.RNN(
        [layers.LSTMCell(3, dropout=0.1), layers.GRUCell(2, dropout=0.2)]
    ),
    "own": lambda: layers.RNN(MaskedCell(3, dropout=0.3, recurrent_dropout=0.3)),
    "noise": lambda: layers.GaussianNoise(0.3),
}


def test_dropout_leaves_nothing_in_the_files(tmp_path):
    """Keras draws masks in inference, too, and counts up a variable for it."""
    x = keras.Input((6, 4), name="x")
    model = keras.Model(x, {name: make()(layers.Masking()(x)) for name, make in DROPOUT.items()})
    assert_exports(model, tmp_path / "b", {"x": X}, formats=formats.NAMES)
    import tensorflow as tf

    variables = tf.saved_model.load(str(tmp_path / "b/saved_model"))
    assert not any("seed" in v.name for v in variables.signatures["predict"].variables)


def test_dropout_in_a_convolutional_recurrence(tmp_path):
    x = keras.Input((4, 5, 2), name="x")
    layer = layers.ConvLSTM1D(2, 3, dropout=0.2, recurrent_dropout=0.2, return_sequences=True)
    inputs = np.random.default_rng(1).normal(size=(2, 4, 5, 2)).astype("float32")
    assert_exports(keras.Model(x, layers.Bidirectional(layer)(x)), tmp_path / "b", {"x": inputs})


class Keeper(layers.Layer):
    """A cell whose output isn't its state."""

    state_size = 3

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3))

    def call(self, inputs, states):
        new = ops.elu(ops.matmul(inputs, self.kernel) + 0.5 * states[0])
        return new * 2, [new]


@pytest.mark.parametrize("masked", [pytest.param(False, marks=pytest.mark.full), True])
def test_all_steps_of_a_walk_backwards(tmp_path, masked):
    """ONNX has no node for these activations: they are loops."""
    x = keras.Input((6, 4), name="x")
    steps = layers.Masking()(x) if masked else x
    made = {
        name: layers.Bidirectional(layers.LSTM(3, activation=name, return_sequences=True))(steps)
        for name in ("elu", "softsign")
    }
    gru = layers.GRU(3, activation="gelu", go_backwards=True, return_sequences=True)
    own = layers.RNN(Keeper(), go_backwards=True, return_sequences=True)
    model = keras.Model(x, {**made, "gru": gru(steps), "own": own(steps)})
    inputs = X.copy()
    inputs[1, 3:] = 0
    inputs[2, :2] = 0
    assert_exports(model, tmp_path / "b", {"x": inputs}, formats=["onnx"])


def test_dropout_that_the_model_asks_for(tmp_path):
    x = keras.Input((6, 4))
    for words, layer in {
        "'sampled' .LSTM.*at random": layers.LSTM(3, dropout=0.5, name="sampled"),
        "'dropped' .Dropout.*random numbers": layers.Dropout(0.5, name="dropped"),
    }.items():
        model = keras.Model(x, Apply(lambda a, layer=layer: layer(a, training=True))(x))
        assert_refused(model, tmp_path, words, ["tflite", "onnx"])


def test_activations_across_the_units_of_a_gate(tmp_path):
    """Our GRU computes two gates at once; these activations must not see both."""
    x = keras.Input((6, 4), name="x")
    outputs = {
        "gru": layers.GRU(3, recurrent_activation="softmax")(x),
        "own": layers.GRU(3, recurrent_activation=lambda a: ops.softmax(a) * 0.5)(x),
        "lstm": layers.LSTM(3, recurrent_activation="sparsemax", activation="softmax")(x),
    }
    assert_exports(keras.Model(x, outputs), tmp_path / "b", {"x": X})
