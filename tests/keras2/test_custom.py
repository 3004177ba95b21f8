"""A user's own layers, written for Keras 3, in files that Keras 2 wrote."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from keras import ops

from keras_seq.errors import UserError
from tests.keras2.models import LAYERS as L
from tests.keras2.models import fill, ids, largest_difference, load, noise, save_and_load

K = tf_keras.backend  # as old notebooks call it; no file has the import


class OldPool(L.Layer):
    """A weighted sum of the steps, as it was written for Keras 2."""

    def __init__(self, units=3, **options):
        super().__init__(**options)
        self.units = units
        self.supports_masking = True

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], self.units))
        self.score = self.add_weight(name="score", shape=(self.units, 1))
        super().build(shape)

    def call(self, x, mask=None):
        scores = tf.matmul(tf.tanh(tf.matmul(x, self.kernel)), self.score)
        if mask is not None:
            scores -= 1e9 * tf.cast(~mask, tf.float32)[..., None]
        return tf.reduce_sum(tf.nn.softmax(scores, axis=1) * x, axis=1)

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "units": self.units}


OldPool.__name__ = "Pool"


class Pool(keras.layers.Layer):
    """The same in Keras 3."""

    def __init__(self, units=3, **options):
        super().__init__(**options)
        self.units = units
        self.supports_masking = True

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], self.units))
        self.score = self.add_weight(name="score", shape=(self.units, 1))

    def call(self, x, mask=None):
        scores = ops.matmul(ops.tanh(ops.matmul(x, self.kernel)), self.score)
        if mask is not None:
            scores -= 1e9 * ops.cast(~mask, "float32")[..., None]
        return ops.sum(ops.softmax(scores, axis=1) * x, axis=1)

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class WrongPool(Pool):
    """A class of that name which computes something else."""

    def call(self, x, mask=None):
        return 2 * super().call(x, mask=mask)


def half(x):
    return x * 0.5


@pytest.fixture(scope="module")
def model():
    tokens = L.Input((5,))
    x = L.SimpleRNN(3, return_sequences=True)(L.Embedding(20, 4, mask_zero=True)(tokens))
    return fill(tf_keras.Model(tokens, L.Dense(2)(OldPool(4)(x))))


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "saved_model"])
def test_a_layer_for_keras_3_takes_the_place_of_its_namesake(name, model, tmp_path):
    new = save_and_load(model, tmp_path / name, custom_objects={"Pool": Pool})
    assert largest_difference(model, new, ids(4, 5)) <= 1e-6
    assert isinstance(new.layers[-2], Pool)


def test_a_namesake_that_computes_something_else_is_noticed(model, tmp_path):
    """Both models compute with it, but only one of them is Keras 2: what the class does is its own."""
    new = save_and_load(model, tmp_path / "model.h5", custom_objects={"Pool": WrongPool})
    assert largest_difference(model, new, ids(4, 5)) > 0.01


def test_a_class_that_is_missing_or_of_keras_2_is_named(model, tmp_path):
    with pytest.raises(UserError, match="has Pool, a class or function that is not known here"):
        save_and_load(model, tmp_path / "model.h5")
    with pytest.raises(UserError, match=r"class Pool, which is written for Keras 2.*import keras"):
        load(tmp_path / "model.h5", custom_objects={"Pool": OldPool})


def test_functions_of_the_user(tmp_path):
    model = tf_keras.Sequential([L.Input((3,)), L.Dense(2, activation=half), L.Activation(half)])
    with pytest.raises(UserError, match="has half, a class or function"):
        save_and_load(fill(model), tmp_path / "model.h5")
    new, _ = load(tmp_path / "model.h5", custom_objects={"half": half})
    assert largest_difference(model, new, noise(2, 3)) <= 1e-6


def test_a_lambda_is_run_for_who_trusts_it(tmp_path):
    i = L.Input((3,))
    model = tf_keras.Model(i, L.Lambda(lambda x: K.mean(x * 2, axis=1), name="twice")(i))
    for name in ("model.h5", "model.keras", "saved_model"):
        model.save(tmp_path / name)
        with pytest.raises(
            UserError, match=r"Python code inside: the layer twice \(Lambda\).*trust=True"
        ):
            load(tmp_path / name)
        new, said = load(tmp_path / name, trust=True)
        assert "twice (Lambda)" in said[0]
        np.testing.assert_allclose(new(noise(2, 3)), model(noise(2, 3)), atol=1e-6)
