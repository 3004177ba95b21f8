"""Positions against the formula, at every step, and where the sequence is too long."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq import layers
from keras_seq.layers.lowering import Lowering, use_lowering
from keras_seq.layers.positions import RotaryPositions, rotate

B, T, D = 3, 6, 8
X = np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")
KINDS = [layers.SinusoidalPositions, layers.LearnedPositions]


@pytest.mark.parametrize("width", [1, 2, 7, 8])
def test_sinusoidal_table_is_the_formula(width):
    found = np.asarray(layers.SinusoidalPositions(40)(np.zeros((1, 40, width), "float32")))[0]
    for t in range(40):
        for column in range(width):
            angle = t / 10000 ** (column // 2 * 2 / width)
            expected = math.cos(angle) if column % 2 else math.sin(angle)
            assert found[t, column] == pytest.approx(expected, abs=1e-5), (t, column)


def test_sinusoidal_table_is_not_trained():
    layer = layers.SinusoidalPositions(T)
    layer(X)
    assert layer.trainable_variables == []
    assert len(layer.weights) == 1


def test_sinusoidal_positions_are_added():
    layer = layers.SinusoidalPositions(2 * T, scaled=False)
    zeros = np.asarray(layer(np.zeros_like(X)))
    np.testing.assert_allclose(layer(X), X + zeros, atol=1e-6)
    np.testing.assert_array_equal(zeros[0], zeros[1])
    scaled = layers.SinusoidalPositions(2 * T)
    np.testing.assert_allclose(scaled(X), X * math.sqrt(D) + zeros, atol=1e-5)


def test_files_from_before_the_scale_are_read_as_they_were():
    config = layers.SinusoidalPositions(T).get_config()
    assert config["scaled"] is layers.SinusoidalPositions.from_config(config).scaled is True
    del config["scaled"]
    assert not layers.SinusoidalPositions.from_config(config).scaled


def test_learned_positions_add_the_rows_of_the_table():
    layer = layers.LearnedPositions(2 * T)
    layer(X)
    table = np.arange(2 * T * D).reshape(2 * T, D) / 7
    layer.set_weights([table])
    np.testing.assert_allclose(layer(X), X + table[None, :T], atol=1e-5)


def test_learned_positions_learn():
    layer = layers.LearnedPositions(T + 2)
    layer(X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(X) * X)
    (gradient,) = tape.gradient(loss, [v.value for v in layer.trainable_variables])
    expected = np.concatenate([X.sum(0), np.zeros((2, D))])
    np.testing.assert_allclose(tf.convert_to_tensor(gradient), expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_position_argument(kind):
    """Each row of the batch stands somewhere else, in every combination of three places."""
    layer = kind(T)
    whole = np.asarray(layer(X))
    assert np.abs(np.diff(whole - X, axis=1)).max() > 1e-3  # or any position would do
    for first in range(T):
        position = (np.arange(B, dtype="int32") * 2 + first) % T
        found = layer(X[np.arange(B), position], position=position)
        np.testing.assert_allclose(found, whole[np.arange(B), position], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_length_known_only_at_run_time(kind):
    layer = kind(T + 3)
    whole = np.asarray(layer(X))
    run = tf.function(layer, input_signature=[tf.TensorSpec([None, None, D])])
    for length in (1, T):
        np.testing.assert_allclose(run(X[:, :length]), whole[:, :length], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_too_long_a_sequence_names_both_numbers(kind):
    layer = kind(11)
    layer(np.zeros((1, 11, D), "float32"))
    with pytest.raises(ValueError, match=r"11.*13"):
        layer(np.zeros((1, 13, D), "float32"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("received", [0, -3, 2.5, None])
def test_bad_max_length(kind, received):
    with pytest.raises(ValueError, match=f"max_length.*{received}"):
        kind(received)


@pytest.mark.parametrize("kind", KINDS)
def test_model_comes_back_from_its_file(kind, tmp_path):
    inputs = keras.Input((None, D))
    options = {"initializer": "normal"} if kind is layers.LearnedPositions else {}
    layer = kind(T, name="positions", **options)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(X), model(X))
    assert np.abs(np.asarray(loaded(X)) - X).max() > 1e-3
    assert loaded.get_layer("positions").get_config() == layer.get_config()
    assert loaded.get_layer("positions").max_length == T


def test_rotary_positions_are_turns_in_the_complex_plane():
    """RoFormer, equation 34: the pair (i, i + D/2) as a complex number times exp(i t θ)."""
    layer = RotaryPositions(12, 8)
    layer.build((None, None, 16))
    x = np.random.default_rng(0).normal(size=(2, 2, 12, 8)).astype("float32")
    theta = 10000.0 ** (-2 * np.arange(4) / 8)
    turned = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * np.arange(12)[:, None] * theta)
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    np.testing.assert_allclose(rotate(x, layer.rotation(12)), expected, atol=1e-5)
    for t in (0, 7):
        found = rotate(x[:, :, t : t + 1], layer.rotation(position=np.full(2, t, "int32")))
        np.testing.assert_allclose(found, expected[:, :, t : t + 1], atol=1e-5)
        with use_lowering(Lowering(fuse_projections=True)):
            matrix = layer.rotation(position=np.full(2, t, "int32"))
        found = rotate(x[:, :, t : t + 1], matrix)
        np.testing.assert_allclose(found, expected[:, :, t : t + 1], atol=1e-5)
    assert layer.compute_output_shape((2, 12, 16)) == (2, 12, 16)
    assert type(layer).from_config(layer.get_config()).head_dim == 8
    with pytest.raises(ValueError, match="12 positions. Received a sequence of 13"):
        layer.rotation(13)
    with pytest.raises(ValueError, match="head_dim must be even. Received: 7"):
        RotaryPositions(12, 7)
