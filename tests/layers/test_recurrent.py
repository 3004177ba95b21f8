"""RNN and LSTM against their equations in NumPy and against the stock layers of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq import layers

BATCH, STEPS, WIDTH, UNITS = 4, 7, 3, 5
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(BATCH, STEPS, WIDTH)).astype("float32")
STOCK = {layers.RNN: keras.layers.SimpleRNN, layers.LSTM: keras.layers.LSTM}

MASKS = {
    "none": None,
    "padded": [[1] * 7, [1] * 4 + [0] * 3, [1] + [0] * 6, [0] * 7],
    "padded in front": [[0] * 2 + [1] * 5, [1] * 7, [0] * 6 + [1], [0] * 7],
    "holes": [[1, 0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0, 1, 0], [0, 0, 1, 0, 0, 1, 0], [1] * 7],
}


def as_mask(rows):
    return None if rows is None else np.array(rows, bool)


def built(kind, **options):
    """Our layer and the stock one with the same drawn weights, biases too."""
    ours, stock = kind(UNITS, **options), STOCK[kind](UNITS, **options)
    ours.build((None, None, WIDTH))
    stock.build((None, None, WIDTH))
    stock.set_weights([GENERATOR.normal(size=w.shape) for w in stock.get_weights()])
    ours.set_weights(stock.get_weights())
    return ours, stock


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def equations(layer, x, h, c):
    """The equations of the docstrings, a row and a step at a time."""
    kernel, recurrent, bias = (w.astype("float64") for w in layer.get_weights())
    outputs = np.zeros((*x.shape[:2], UNITS))
    for row in range(len(x)):
        h_t, c_t = h[row].astype("float64"), c[row].astype("float64")
        for t in range(x.shape[1]):
            z = x[row, t] @ kernel + h_t @ recurrent + bias
            if isinstance(layer, layers.RNN):
                h_t = np.tanh(z)
            else:
                i, f, g, o = np.split(z, 4)
                c_t = sigmoid(f) * c_t + sigmoid(i) * np.tanh(g)
                h_t = sigmoid(o) * np.tanh(c_t)
            outputs[row, t] = h_t
    return outputs


def states(kind):
    return [GENERATOR.normal(size=(BATCH, UNITS)).astype("float32") for _ in kind.state_names]


@pytest.mark.parametrize("kind", STOCK)
def test_equations(kind):
    layer, _ = built(kind, return_sequences=True)
    initial = states(kind)
    expected = equations(layer, X, initial[0], initial[-1])
    np.testing.assert_allclose(layer(X, initial_state=initial), expected, atol=1e-5)


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("sequences", [True, False], ids=["sequences", "last"])
@pytest.mark.parametrize("backwards", [True, False], ids=["backwards", "forwards"])
@pytest.mark.parametrize("given", [True, False], ids=["state", "zeros"])
def test_values_and_gradients_of_the_stock_layer(kind, mask, sequences, backwards, given):
    ours, stock = built(kind, return_sequences=sequences, return_state=True, go_backwards=backwards)
    initial = [tf.constant(s) for s in states(kind)] if given else None
    x = tf.constant(X)
    found = []
    for layer in (ours, stock):
        with tf.GradientTape() as tape:
            watched = [x, *(initial or [])]
            tape.watch(watched)
            outputs = layer(x, initial_state=initial, mask=as_mask(mask))
            weights = [tf.cast(tf.range(tf.size(o)), tf.float32) % 7 - 3 for o in outputs]
            loss = sum(
                tf.reduce_sum(tf.reshape(o, [-1]) * w)
                for o, w in zip(outputs, weights, strict=True)
            )
        variables = [v.value for v in layer.trainable_variables]
        found.append([*outputs, *tape.gradient(loss, [*watched, *variables])])
    for i, (a, b) in enumerate(zip(*found, strict=True)):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5, err_msg=str(i))


@pytest.mark.parametrize("kind", STOCK)
def test_zero_output_for_mask_and_no_bias(kind):
    ours, stock = built(kind, return_sequences=True, zero_output_for_mask=True, use_bias=False)
    assert len(ours.weights) == 2
    mask = as_mask(MASKS["holes"])
    np.testing.assert_allclose(ours(X, mask=mask), stock(X, mask=mask), atol=1e-5)


@pytest.mark.parametrize("kind", STOCK)
def test_steps_make_the_sequence(kind):
    layer, _ = built(kind)
    outputs, last = layer.scan(X)
    state = layer.initial_state(BATCH)
    for t in range(STEPS):
        output, state = layer.step(X[:, t], state)
        np.testing.assert_allclose(output, outputs[:, t], atol=1e-6)
    for a, b in zip(state, last, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("kind", STOCK)
def test_xla_computes_the_same(kind):
    layer, _ = built(kind, return_sequences=True)
    mask = as_mask(MASKS["holes"])
    compiled = tf.function(lambda x, mask: layer(x, mask=mask), jit_compile=True)
    np.testing.assert_allclose(compiled(X, mask), layer(X, mask=mask), atol=1e-5)


@pytest.mark.parametrize("kind", STOCK)
def test_dropout_drops_the_same_inputs_at_every_step(kind):
    """With a kernel of one and no recurrence, a dropped input shows at each step."""
    layer = kind(UNITS, return_sequences=True, dropout=0.5, seed=1)
    layer.build((None, None, UNITS))
    kernel, recurrent, bias = layer.get_weights()
    kernel = np.tile(np.eye(UNITS), layer.gates)
    layer.set_weights([kernel, 0 * recurrent, 0 * bias])
    x = np.ones((30, STEPS, UNITS), "float32")
    dropped = np.asarray(layer(x, training=True)) == 0
    assert 0.3 < dropped.mean() < 0.7
    assert (dropped == dropped[:, :1]).all()
    assert (np.asarray(layer(x)) != 0).all()


@pytest.mark.parametrize("kind", STOCK)
def test_recurrent_dropout_is_for_training(kind):
    layer = kind(UNITS, recurrent_dropout=0.5, seed=1)
    plain = layer(X)
    assert np.abs(plain - layer(X, training=True)).max() > 1e-3
    np.testing.assert_array_equal(plain, layer(X))


@pytest.mark.parametrize("kind", STOCK)
def test_saved_and_loaded(kind, tmp_path):
    inputs = keras.Input((None, WIDTH))
    hidden = kind(UNITS, return_sequences=True, dropout=0.1, name="a")(inputs)
    outputs = kind(UNITS, go_backwards=True, use_bias=False, name="b")(hidden)
    assert outputs.shape == (None, UNITS)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(X), model(X))
    assert loaded.get_layer("a").get_config() == model.get_layer("a").get_config()


def test_masks_pass_through_a_model():
    inputs = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(9, WIDTH, mask_zero=True)(inputs)
    model = keras.Model(inputs, layers.LSTM(4)(layers.RNN(4, return_sequences=True)(hidden)))
    ids = np.array([[3, 4, 5]])
    np.testing.assert_allclose(model(ids), model(np.pad(ids, ((0, 0), (0, 4)))), atol=1e-6)


@pytest.mark.parametrize("kind", STOCK)
def test_errors_say_what_was_received(kind):
    with pytest.raises(ValueError, match="0"):
        kind(0)
    with pytest.raises(ValueError, match=r"recurrent_dropout.*1\.5"):
        kind(3, recurrent_dropout=1.5)
    with pytest.raises(ValueError, match="3"):
        kind(UNITS)(X, initial_state=[np.zeros((BATCH, UNITS))] * 3)
