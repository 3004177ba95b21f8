"""Attention, the encoder block and positions, against NumPy and the stock layers of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq import layers

G = np.random.default_rng(0)
B, T, S, D = 3, 5, 7, 8
QUERY = G.normal(size=(B, T, D)).astype("float32")
VALUE = G.normal(size=(B, S, 6)).astype("float32")
KEY = G.normal(size=(B, S, 4)).astype("float32")
VALUE_MASK = np.array([[1] * 7, [1] * 3 + [0] * 4, [0, 1, 0, 1, 1, 0, 0]], bool)
LENGTHS = np.arange(T) < np.array([[5], [3], [1]])


def attention(weights, query, value, key, mask, biased=True):
    """softmax(QK^T / sqrt(d_k)) V of each head, written out."""
    if biased:
        wq, bq, wk, bk, wv, bv, wo, bo = (w.astype("float64") for w in weights)
    else:
        (wq, wk, wv, wo), (bq, bk, bv, bo) = weights, (0, 0, 0, 0)
    output = 0
    q, k, v = (np.einsum("btd,dnh->bnth", x, w) for x, w in ((query, wq), (key, wk), (value, wv)))
    if biased:
        q, k, v = q + bq[None, :, None], k + bk[None, :, None], v + bv[None, :, None]
    for head in range(wq.shape[1]):
        scores = q[:, head] @ k[:, head].transpose(0, 2, 1) / np.sqrt(wq.shape[2])
        scores = np.where(mask, scores, -np.inf)
        e = np.exp(scores - scores.max(-1, keepdims=True))
        output = output + (e / e.sum(-1, keepdims=True)) @ v[:, head] @ wo[head]
    return output + bo


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("value_dim", [None, 3])
def test_cross_attention(biased, value_dim):
    options = {"num_heads": 2, "key_dim": 4, "value_dim": value_dim, "use_bias": biased}
    ours, stock = layers.MultiHeadAttention(**options), keras.layers.MultiHeadAttention(**options)
    arguments = {"query": QUERY, "value": VALUE, "key": KEY}
    stock(**arguments)
    stock.set_weights([G.normal(size=w.shape) for w in stock.get_weights()])
    ours(**arguments)
    ours.set_weights(stock.get_weights())
    mask = G.random((B, T, S)) > 0.3
    mask[:, :, 1] = True
    masks = {"value_mask": VALUE_MASK | (np.arange(S) == 1), "attention_mask": mask}
    found = ours(**arguments, **masks)
    seen = masks["value_mask"][:, None, :] & mask
    expected = attention(ours.get_weights(), QUERY, VALUE, KEY, seen, biased)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-5)
    np.testing.assert_allclose(found, stock(**arguments, **masks), atol=1e-5, rtol=1e-5)
    stock.set_weights(ours.get_weights())


@pytest.mark.parametrize("causal", [True, False])
def test_self_attention_values_and_gradients(causal):
    ours, stock = layers.MultiHeadAttention(2, 4), keras.layers.MultiHeadAttention(2, 4)
    stock(QUERY, QUERY)
    ours(QUERY)
    ours.set_weights(stock.get_weights())
    x = tf.constant(QUERY)
    found = []
    for layer in (ours, stock):
        with tf.GradientTape() as tape:
            tape.watch(x)
            options = {"use_causal_mask": causal, "value_mask": LENGTHS}
            y = layer(x, x, **options) * tf.cast(LENGTHS[:, :, None], tf.float32)
            loss = tf.reduce_sum(y * tf.cast(tf.reshape(tf.range(D), [1, 1, D]), tf.float32))
        found.append([y, *tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-4)


def test_a_query_that_sees_nothing_stays_a_number():
    layer = layers.MultiHeadAttention(2, 4)
    assert np.isfinite(layer(QUERY, value_mask=np.zeros((B, T), bool))).all()


def test_dropout_is_for_training():
    layer = layers.MultiHeadAttention(2, 4, dropout=0.5, seed=0)
    plain = np.asarray(layer(QUERY))
    assert np.abs(plain - layer(QUERY, training=True)).max() > 1e-3
    np.testing.assert_array_equal(plain, layer(QUERY))


@pytest.mark.parametrize("norm_first", [True, False])
def test_steps_make_the_causal_sequence(norm_first):
    for layer in (
        layers.MultiHeadAttention(2, 4),
        layers.TransformerEncoder(2, 16, causal=True, norm_first=norm_first),
    ):
        options = {"use_causal_mask": True} if isinstance(layer, layers.MultiHeadAttention) else {}
        whole = layer(QUERY, **options)
        state = layer.initial_state(B, T + 2)
        for t in range(T):
            output, state = layer.step(QUERY[:, t], state, np.full(B, t, "int32"))
            np.testing.assert_allclose(output, whole[:, t], atol=1e-5)


def test_rows_may_stand_at_different_positions():
    layer = layers.MultiHeadAttention(2, 4)
    whole = layer(QUERY, use_causal_mask=True)
    state = layer.initial_state(B, T)
    ahead = np.array([0, 1, 2], "int32")
    keys, values = layer.project_key_value(QUERY)
    before = (np.arange(T) < ahead[:, None])[:, None, :, None]
    state = tuple(np.where(before, full, empty) for full, empty in zip((keys, values), state,
                                                                      strict=True))  # fmt: skip
    output, _ = layer.step(QUERY[np.arange(B), ahead], state, ahead)
    np.testing.assert_allclose(output, np.asarray(whole)[np.arange(B), ahead], atol=1e-5)


def layer_norm(x, gamma, beta):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gamma + beta


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_encoder_block_in_numpy(norm_first, causal):
    block = layers.TransformerEncoder(2, 16, norm_first=norm_first, causal=causal)
    block(QUERY)
    for variable in block.weights:
        variable.assign(G.normal(size=variable.shape))
    mask = LENGTHS[:, None, :] & (np.tri(T, dtype=bool) if causal else True)
    a = [block.attention_norm.get_weights(), block.feed_forward_norm.get_weights()]
    w1, b1 = block.intermediate.get_weights()
    w2, b2 = block.output_dense.get_weights()
    branches = (
        lambda x: attention(block.attention.get_weights(), x, x, x, mask),
        lambda x: np.maximum(x @ w1 + b1, 0) @ w2 + b2,
    )
    x = QUERY.astype("float64")
    for branch, norm in zip(branches, a, strict=True):
        x = x + branch(layer_norm(x, *norm)) if norm_first else layer_norm(x + branch(x), *norm)
    found = np.asarray(block(QUERY, mask=LENGTHS))
    np.testing.assert_allclose(found[LENGTHS], x[LENGTHS], atol=1e-3, rtol=1e-4)


def test_saved_and_loaded(tmp_path):
    inputs = keras.Input((None, D))
    hidden = layers.SinusoidalPositions(20)(layers.LearnedPositions(20)(inputs))
    hidden = layers.TransformerEncoder(2, 16, dropout=0.1, activation="gelu")(hidden)
    model = keras.Model(inputs, layers.MultiHeadAttention(2, 3)(hidden))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(QUERY), model(QUERY))


def test_sinusoidal_positions_are_the_formula():
    layer = layers.SinusoidalPositions(30)
    found = np.asarray(layer(np.zeros((1, 30, D), "float32")))[0]
    for t in range(30):
        for i in range(D // 2):
            angle = t / 10000 ** (2 * i / D)
            np.testing.assert_allclose(found[t, 2 * i], np.sin(angle), atol=1e-5)
            np.testing.assert_allclose(found[t, 2 * i + 1], np.cos(angle), atol=1e-5)


@pytest.mark.parametrize("kind", [layers.SinusoidalPositions, layers.LearnedPositions])
def test_positions_of_a_step_and_of_too_many(kind):
    layer = kind(T)
    whole = np.asarray(layer(QUERY))
    for t in range(T):
        found = layer(QUERY[:, t], position=np.full(B, t, "int32"))
        np.testing.assert_allclose(found, whole[:, t], atol=1e-6)
    with pytest.raises(ValueError, match=r"5.*7"):
        layer(np.zeros((1, 7, D), "float32"))


def test_errors_say_what_was_received():
    with pytest.raises(ValueError, match="num_heads.*0"):
        layers.MultiHeadAttention(0, 4)
    with pytest.raises(ValueError, match=r"width=8.*num_heads=3"):
        layers.TransformerEncoder(3, 16)(QUERY)
    with pytest.raises(ValueError, match="-1"):
        layers.LearnedPositions(-1)
