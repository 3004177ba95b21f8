import keras
import numpy as np
import pytest

from keras_seq import layers

X = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
MASK = np.array([[1] * 6, [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 0]], bool)
STOCK = {layers.RNN: keras.layers.SimpleRNN, layers.LSTM: keras.layers.LSTM}


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("mask", [None, MASK], ids=["no mask", "mask"])
def test_equals_the_stock_layer(kind, merge_mode, sequences, mask):
    ours = layers.Bidirectional(kind(5, return_sequences=sequences), merge_mode=merge_mode)
    stock = keras.layers.Bidirectional(
        STOCK[kind](5, return_sequences=sequences), merge_mode=merge_mode
    )
    shape = stock(X).shape
    assert ours(X).shape == shape
    assert ours.compute_output_shape(X.shape) == shape
    ours.set_weights(stock.get_weights())
    np.testing.assert_allclose(ours(X, mask=mask), stock(X, mask=mask), atol=1e-5)


def test_saved_and_loaded(tmp_path):
    inputs = keras.Input((None, 4))
    layer = layers.Bidirectional(layers.LSTM(5, return_sequences=True), "sum")
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(X), model(X))


def test_errors():
    with pytest.raises(ValueError, match="Dense"):
        layers.Bidirectional(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="'max'"):
        layers.Bidirectional(layers.RNN(3), merge_mode="max")
    with pytest.raises(ValueError, match="return_state"):
        layers.Bidirectional(layers.RNN(3, return_state=True))
