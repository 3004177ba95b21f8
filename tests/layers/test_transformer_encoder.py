"""The encoder block against an implementation of its own in NumPy."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq import layers
from keras_seq.layers.cache import CachePosition

G = np.random.default_rng(5)
B, T, D, HEADS = 3, 6, 8, 2
X = G.normal(size=(B, T, D)).astype("float32")
PADDING = np.arange(T) < np.array([[6], [4], [1]])
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": np.vectorize(lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2)))),
}

both_norms = pytest.mark.parametrize("norm_first", [True, False], ids=["pre-norm", "post-norm"])


def drawn(**options):
    """A block with every weight drawn, the scales and shifts of its norms too."""
    block = layers.TransformerEncoder(HEADS, 12, **options)
    block(X)
    block.set_weights([G.normal(size=w.shape) / 2 for w in block.get_weights()])
    return block


def in_numpy(block, x, lengths, norm_first, causal, activation, epsilon):
    """The block, one sequence and one position at a time, from its weights by name."""
    w = {v.path.split("/", 1)[1]: np.asarray(v.value, "float64") for v in block.weights}

    def norm(x, name):
        deviation = x - x.mean()
        x = deviation / math.sqrt((deviation**2).mean() + epsilon)
        return x * w[f"{name}/gamma"] + w[f"{name}/beta"]

    def attention(xs):
        kinds = ("query", "key", "value")
        q, k, v = (
            [np.einsum("d,dnh->nh", x, w[f"attention/{kind}_kernel"]) + w[f"attention/{kind}_bias"]
             for x in xs]
            for kind in kinds
        )  # fmt: skip
        outputs = []
        for t in range(len(xs)):
            output = w["attention/attention_output_bias"].copy()
            for head in range(HEADS):
                until = t + 1 if causal else len(xs)
                scores = [q[t][head] @ k[s][head] / math.sqrt(D / HEADS) for s in range(until)]
                e = np.exp(scores)
                mixed = sum(e[s] / e.sum() * v[s][head] for s in range(until))
                output += mixed @ w["attention/attention_output_kernel"][head]
            outputs.append(output)
        return outputs

    def feed_forward(x):
        hidden = ACTIVATIONS[activation](x @ w["intermediate/kernel"] + w["intermediate/bias"])
        return hidden @ w["output/kernel"] + w["output/bias"]

    rows = []
    for row, length in zip(x.astype("float64"), lengths, strict=True):
        xs = list(row[:length])
        if norm_first:
            added = attention([norm(x, "attention_norm") for x in xs])
            xs = [x + a for x, a in zip(xs, added, strict=True)]
            xs = [x + feed_forward(norm(x, "feed_forward_norm")) for x in xs]
        else:
            xs = [norm(x + a, "attention_norm") for x, a in zip(xs, attention(xs), strict=True)]
            xs = [norm(x + feed_forward(x), "feed_forward_norm") for x in xs]
        rows.append(np.array(xs))
    return rows


@both_norms
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("activation", "epsilon"), [("relu", 1e-5), ("gelu", 1e-2)])
@pytest.mark.parametrize("padded", [True, False])
def test_equals_numpy(norm_first, causal, activation, epsilon, padded):
    block = drawn(norm_first=norm_first, causal=causal, activation=activation, epsilon=epsilon)
    lengths = PADDING.sum(1) if padded else [T] * B
    found = np.asarray(block(X, mask=PADDING if padded else None))
    assert found.shape == X.shape == block.compute_output_shape(X.shape)
    expected = in_numpy(block, X, lengths, norm_first, causal, activation, epsilon)
    for row, rows, length in zip(found, expected, lengths, strict=True):
        np.testing.assert_allclose(row[:length], rows, atol=2e-5, rtol=1e-5)


@both_norms
@pytest.mark.parametrize("causal", [True, False])
def test_later_tokens(norm_first, causal):
    """A causal block's output at t does not change with them, another's does."""
    block = drawn(norm_first=norm_first, causal=causal)
    plain = np.asarray(block(X))
    for t in range(T - 1):
        changed = X.copy()
        changed[:, t + 1 :] = G.normal(size=changed[:, t + 1 :].shape) * 3
        difference = np.abs(np.asarray(block(changed)) - plain)
        assert difference[:, t + 1 :].max() > 1e-2
        assert difference[:, : t + 1].max() < 1e-5 if causal else difference[:, t].max() > 1e-3


@both_norms
@pytest.mark.parametrize("causal", [True, False])
def test_padded_positions_are_not_seen(norm_first, causal):
    block = drawn(norm_first=norm_first, causal=causal)
    for mask in (PADDING, PADDING[:, ::-1]):  # padded behind and, less usual, in front
        other = np.where(mask[:, :, None], X, 40).astype("float32")
        found = [np.asarray(block(x, mask=mask)) for x in (X, other)]
        np.testing.assert_allclose(found[0][mask], found[1][mask], atol=1e-5)
        assert np.abs(found[0][~mask] - found[1][~mask]).max() > 1e-2
        for output in found:
            assert np.isfinite(output).all()


@both_norms
@pytest.mark.parametrize("room", [0, 3])
def test_steps_make_the_sequence(norm_first, room):
    block = drawn(norm_first=norm_first, causal=True, dropout=0.3)
    whole = np.asarray(block(X))
    state = block.initial_state(B, T + room)
    for t in range(T):
        output, state = block.step(
            X[:, t], state, CachePosition.at(np.full(B, t, "int32"), state[0].shape[2])
        )
        np.testing.assert_allclose(output, whole[:, t], atol=1e-5)


@both_norms
def test_steps_of_rows_at_different_positions(norm_first):
    block = drawn(norm_first=norm_first, causal=True)
    whole = np.asarray(block(X))
    state = block.initial_state(B, T)
    rows = np.arange(B)
    for turn in range(T + B - 1):
        position = np.clip(turn - rows, 0, T - 1).astype("int32")
        output, state = block.step(
            X[rows, position], state, CachePosition.at(position, state[0].shape[2])
        )
        np.testing.assert_allclose(output, whole[rows, position], atol=1e-5)


@both_norms
def test_dropout_is_for_training(norm_first):
    block = drawn(norm_first=norm_first, dropout=0.5)
    plain = np.asarray(block(X))
    assert np.abs(plain - block(X, training=True)).max() > 1e-2
    np.testing.assert_array_equal(plain, block(X, training=False))


@both_norms
def test_every_weight_learns(norm_first):
    block = drawn(norm_first=norm_first)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((block(X, mask=PADDING) - 1) ** 2)
    gradients = tape.gradient(loss, [v.value for v in block.trainable_variables])
    assert len(gradients) == 16  # 8 of the attention, 4 of the norms, 4 of the feed-forward
    for variable, gradient in zip(block.trainable_variables, gradients, strict=True):
        if "key_bias" not in variable.path:  # moves every score of a query alike: no effect
            assert np.abs(gradient).max() > 1e-6, variable.path


@both_norms
def test_model_comes_back_from_its_file(norm_first, tmp_path):
    inputs = keras.Input((None, D))
    block = layers.TransformerEncoder(
        4, 12, dropout=0.1, activation="gelu", norm_first=norm_first, causal=True, epsilon=1e-3,
        name="block",
    )  # fmt: skip
    model = keras.Model(inputs, block(inputs))
    block.set_weights([G.normal(size=w.shape) for w in block.get_weights()])
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(X), model(X))
    found = loaded.get_layer("block").get_config()
    assert found == block.get_config()
    assert found["norm_first"] is norm_first
    assert found["causal"] is True


def test_padding_of_an_embedding_is_hidden():
    ids = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(9, D, mask_zero=True)(ids)
    for i in range(2):  # the mask reaches the second block too
        hidden = layers.TransformerEncoder(HEADS, 12, name=f"block_{i}")(hidden)
    model = keras.Model(ids, hidden)
    tokens = np.array([[3, 4, 5], [7, 8, 1]])
    longer = np.pad(tokens, ((0, 0), (0, 4)))
    np.testing.assert_allclose(model(longer)[:, :3], model(tokens), atol=1e-5)


@pytest.mark.parametrize(("width", "heads"), [(8, 3), (7, 2), (4, 8)])
def test_a_width_that_does_not_divide_is_named(width, heads):
    with pytest.raises(ValueError, match=rf"width={width}.*num_heads={heads}"):
        layers.TransformerEncoder(heads, 16)(np.zeros((1, 2, width), "float32"))


@pytest.mark.parametrize("heads", [0, -2])
def test_a_bad_number_of_heads_is_named(heads):
    with pytest.raises(ValueError, match=rf"num_heads.*{heads}"):
        layers.TransformerEncoder(heads, 16)(X)
