import keras
import numpy as np
import pytest
import tensorflow as tf

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


def test_a_stateful_layer_keeps_a_state_for_each_direction():
    ours, stock = (
        package.Bidirectional(lstm(5, return_sequences=True, stateful=True))
        for package, lstm in ((layers, layers.LSTM), (keras.layers, keras.layers.LSTM))
    )
    stock(X)
    ours(X)
    ours.set_weights(stock.get_weights())
    for layer in (ours.forward_layer, ours.backward_layer, stock):
        layer.reset_state()
    for _ in range(3):
        np.testing.assert_allclose(ours(X, mask=MASK), stock(X, mask=MASK), atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="Dense"):
        layers.Bidirectional(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="'max'"):
        layers.Bidirectional(layers.RNN(3), merge_mode="max")
    with pytest.raises(ValueError, match="return_state"):
        layers.Bidirectional(layers.RNN(3, return_state=True))
    with pytest.raises(ValueError, match="go_backwards"):
        layers.Bidirectional(layers.RNN(3, go_backwards=True))


MASKS = {
    "padded": [[1] * 6, [1] * 3 + [0] * 3, [1] + [0] * 5],
    "padded in front": [[1] * 6, [0] * 3 + [1] * 3, [0] * 5 + [1]],
    "a row of nothing": [[1] * 6, [0] * 6, [1, 0, 0, 1, 0, 1]],
}


def drawn(kind, merge_mode, **options):
    """Our layer and the stock one with the same drawn weights: the two directions differ."""
    ours = layers.Bidirectional(kind(5, **options), merge_mode=merge_mode)
    stock = keras.layers.Bidirectional(STOCK[kind](5, **options), merge_mode=merge_mode)
    stock(X)
    ours(X)
    generator = np.random.default_rng(1)
    stock.set_weights([generator.normal(size=w.shape) for w in stock.get_weights()])
    ours.set_weights(stock.get_weights())
    return ours, stock


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_values_and_gradients_under_masks(kind, merge_mode, sequences, mask):
    pair = drawn(kind, merge_mode, return_sequences=sequences, use_bias=merge_mode != "sum")
    x, found = tf.constant(X), []
    for layer in pair:
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x, mask=np.array(mask, bool))
            loss = tf.reduce_mean((output - 0.5) ** 2)
        variables = [v.value for v in layer.trainable_variables]
        found.append([output, *tape.gradient(loss, [x, *variables])])
    for i, (a, b) in enumerate(zip(*found, strict=True)):
        np.testing.assert_allclose(a, b, atol=1e-5, err_msg=str(i))


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("sequences", [True, False])
def test_is_two_layers_of_which_one_reads_backwards(kind, sequences):
    ours, _ = drawn(kind, "concat", return_sequences=sequences)
    weights = ours.get_weights()
    half = len(weights) // 2
    halves = []
    for part, backwards in ((weights[:half], False), (weights[half:], True)):
        layer = STOCK[kind](5, return_sequences=sequences)
        x = X[:, ::-1] if backwards else X
        layer(x)
        layer.set_weights(part)
        output = np.asarray(layer(x))
        halves.append(output[:, ::-1] if sequences and backwards else output)
    np.testing.assert_allclose(ours(X), np.concatenate(halves, axis=-1), atol=1e-5)


@pytest.mark.parametrize("sequences", [True, False])
def test_the_mask_goes_on_with_sequences_only(sequences):
    ours, stock = drawn(layers.RNN, "concat", return_sequences=sequences)
    mask = np.array(MASK)
    assert (ours.compute_mask(X, mask) is mask) == sequences
    assert (stock.compute_mask(X, mask) is not None) == sequences
    ids = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(9, 4, mask_zero=True)(ids)
    hidden = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(hidden)
    hidden = layers.Bidirectional(layers.RNN(3, return_sequences=sequences))(hidden)
    model = keras.Model(ids, hidden)
    tokens = np.array([[3, 4, 5]])
    found = np.asarray(model(np.pad(tokens, ((0, 0), (0, 4)))))
    found = found[:, :3] if sequences else found
    np.testing.assert_allclose(found, model(tokens), atol=1e-6)


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("merge_mode", ["concat", "mul"])
def test_settings_are_saved(kind, merge_mode, tmp_path):
    inner = kind(5, dropout=0.25, recurrent_dropout=0.5, use_bias=False, seed=2, name="inner")
    layer = layers.Bidirectional(inner, merge_mode, name="both")
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(X), model(X))
    both = loaded.get_layer("both")
    assert both.merge_mode == merge_mode
    for a, b in ((both.forward_layer, "forward"), (both.backward_layer, "backward")):
        assert (a.units, a.dropout, a.recurrent_dropout, a.use_bias) == (5, 0.25, 0.5, False)
        assert a.name == f"{b}_inner"


def test_dropout_is_for_training():
    layer = layers.Bidirectional(layers.LSTM(5, dropout=0.5, recurrent_dropout=0.5, seed=0))
    plain = np.asarray(layer(X))
    assert np.abs(plain - layer(X, training=True)).max() > 1e-3
    np.testing.assert_array_equal(plain, layer(X, training=False))


@pytest.mark.parametrize("wrong", [keras.layers.LSTM(3), layers.RNN, None])
def test_what_is_no_layer_of_ours_is_named(wrong):
    with pytest.raises(ValueError, match="Received: ") as raised:
        layers.Bidirectional(wrong)
    assert repr(wrong) in str(raised.value)
