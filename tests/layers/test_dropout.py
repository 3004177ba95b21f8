import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq import layers
from keras_seq.layers.dropout import dropout

ONES = np.ones((64, 128, 32), "float32")


def dropped(rate, seed=1, x=ONES):
    return np.asarray(dropout(x, rate, keras.random.SeedGenerator(seed)))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_share_and_scale(rate):
    y = dropped(rate)
    deviation = np.sqrt(rate * (1 - rate) / y.size)
    assert abs((y == 0).mean() - rate) < 5 * deviation
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)


def test_elements_are_independent():
    """Neighbours on every axis, rows, and draws one after another have nothing in common."""
    generator = keras.random.SeedGenerator(3)
    first, second = (np.asarray(dropout(ONES, 0.5, generator)) > 0 for _ in range(2))
    other = dropped(0.5, seed=4) > 0
    limit = 5 / np.sqrt(first.size)
    pairs = [(first, second), (first, other)]
    pairs += [(first, np.roll(first, shift, axis)) for axis in range(3) for shift in (1, 2, 16)]
    for a, b in pairs:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < limit
    for axis in range(3):
        share = first.mean(axis=tuple({0, 1, 2} - {axis}))
        assert np.abs(share - 0.5).max() < 5 * 0.5 / np.sqrt(first.size / len(share))


def test_the_seed_decides():
    np.testing.assert_array_equal(dropped(0.3), dropped(0.3))
    assert (dropped(0.3) != dropped(0.3, seed=2)).any()


@pytest.mark.parametrize("compiled", [True, False])
def test_gradient_goes_where_the_value_went(compiled):
    x = tf.random.normal((5, 7))
    layer = layers.Dropout(0.5, seed=1)

    @tf.function(jit_compile=compiled, input_signature=[tf.TensorSpec([None, None])])
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return y, tape.gradient(y, x)

    y, slope = run(x)
    np.testing.assert_allclose(y, x * slope, rtol=1e-6)
    assert {*np.unique(slope)} == {0, 2}
    assert (np.asarray(run(x)[1]) != np.asarray(slope)).any()  # another draw at each call


def test_layer(tmp_path):
    layer = layers.Dropout(0.5)
    np.testing.assert_array_equal(layer(ONES), ONES)
    assert (np.asarray(layers.Dropout(0.0)(ONES, training=True)) == 1).all()
    half = layers.Dropout(0.5, dtype="mixed_float16")(ONES, training=True)
    assert half.dtype == "float16"
    model = keras.Sequential([keras.Input((4,)), layers.Dropout(0.25, seed=3)])
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras").layers[-1]
    assert (again.rate, again.seed) == (0.25, 3)
    for rate in (-0.1, 1):
        with pytest.raises(ValueError, match=f"rate is a share .* Received: {rate}"):
            layers.Dropout(rate)
