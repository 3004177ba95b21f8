"""Operators of TensorFlow between layers."""

import keras
import pytest
import tensorflow as tf
import tf_keras

from keras_seq.errors import UserError
from keras_seq.keras2 import Operator
from keras_seq.keras2.operators import is_allowed
from tests.keras2.models import LAYERS as L
from tests.keras2.models import fill, largest_difference, load, noise, save_and_load


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_operators_are_layers(suffix, tmp_path):
    i = L.Input((6, 4))
    x = L.SimpleRNN(5, return_sequences=True)(i)
    length = tf.shape(x)[1]
    places = L.Embedding(30, 5)(tf.range(length))
    weights = tf.nn.softmax(L.Dense(1)(x), axis=1)
    causal = tf.linalg.band_part(tf.matmul(x, x, transpose_b=True), -1, 0)
    first, second = tf.split(x, [2, 3], axis=-1)
    outputs = [
        tf.reduce_mean(x, axis=1) + x[:, -1] * 2.0,
        1.0 - x / (tf.abs(x) + 1.0),
        L.GlobalMaxPooling1D()(x + places),
        tf.reduce_sum(weights * x, axis=1),
        causal,
        tf.concat([first, -second], axis=-1),
        tf.where(x > 0, x, tf.zeros_like(x)) ** 2,
        tf.reshape(x, [-1, tf.shape(x)[1] * 5]),
        x[:, :, None, 1:3],
        tf.cast(tf.math.top_k(x, 2).indices, tf.float32),
        tf.gather(x, [0, 2], axis=1),
        tf.stack(tf.unstack(x, axis=1)[:2], axis=1),
        x * tf.constant([1.0, 2.0, 3.0, 4.0, 5.0]),
        tf_keras.backend.batch_dot(x, x, axes=2),
        tf_keras.backend.mean(x, axis=1),
        tf.image.resize(x[:, :, :, None], (4, 4)),
    ]
    model = tf_keras.Model(i, outputs)
    new = save_and_load(fill(model), tmp_path / f"model.{suffix}")
    inputs = noise(2, 6, 4)
    assert largest_difference(model, new, inputs) <= 1e-6
    new.save(tmp_path / "new.keras")
    again, _ = load(tmp_path / "new.keras")
    assert largest_difference(model, again, inputs) <= 1e-6


@pytest.mark.parametrize(
    ("symbol", "allowed"),
    [
        ("math.reduce_mean", True),
        ("compat.v1.transpose", True),
        ("__operators__.getitem", True),
        ("raw_ops.AddV2", True),
        ("io.write_file", False),
        ("io.read_file", False),
        ("py_function", False),
        ("numpy_function", False),
        ("raw_ops.WriteFile", False),
        ("raw_ops.PyFunc", False),
        ("__operators__.__class__.mro", False),
        ("nn.__dict__", False),
        ("random.normal", False),
        ("saved_model.load", False),
        ("load_library", False),
    ],
)
def test_a_file_names_operators_that_compute_alone(symbol, allowed):
    assert is_allowed(symbol) is allowed


def test_an_operator_that_writes_is_not_run(tmp_path):
    """Neither from a file of Keras 2 nor from one of Keras 3."""
    target = tmp_path / "written"
    i = L.Input((1,), dtype="string")
    model = tf_keras.Model(i, tf.strings.length(i))
    model.save(tmp_path / "model.h5")
    layer = tf_keras.models.load_model(tmp_path / "model.h5", compile=False).layers[1]
    assert layer.symbol == "strings.length"

    from tests.keras2.test_configs import rewrite

    def change(config):
        settings = config["config"]["layers"][1]
        settings["config"]["function"] = "io.write_file"
        settings["inbound_nodes"] = [
            ["_CONSTANT_VALUE", -1, str(target), {"contents": ["input_1", 0, 0]}]
        ]
        settings["inbound_nodes"][0][3]["contents"][0] = config["config"]["layers"][0]["name"]

    rewrite(tmp_path / "model.h5", change, "2.15.0")
    with pytest.raises(UserError, match="io.write_file"):
        load(tmp_path / "model.h5")
    assert not target.exists()
    with pytest.raises(UserError, match="io.write_file"):
        Operator("io.write_file", {"positional": [], "keyword": {}}, [[[None], "string"]])


def test_what_draws_numbers_is_refused(tmp_path):
    i = L.Input((3,))
    model = tf_keras.Model(i, i + tf.random.normal(tf.shape(i)))
    with pytest.raises(UserError, match="random.normal"):
        save_and_load(model, tmp_path / "model.h5")


def test_a_converted_operator_needs_tensorflow(monkeypatch):
    layer = Operator(
        "math.abs", {"positional": [{"input": 0}], "keyword": {}}, [[[None], "float32"]]
    )
    assert float(layer([keras.ops.convert_to_tensor([-2.0])])[0]) == 2.0
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match="KERAS_BACKEND=tensorflow"):
        layer.call([keras.ops.convert_to_tensor([-2.0])])
