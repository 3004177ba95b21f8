"""The decoder block against one made of stock Keras layers with the same weights."""

import keras
import numpy as np
import pytest

from keras_seq import layers
from keras_seq.layers.cache import CachePosition

G = np.random.default_rng(6)
B, T, S, D, HEADS = 3, 5, 7, 8, 2
X = G.normal(size=(B, T, D)).astype("float32")
ENCODED = G.normal(size=(B, S, D)).astype("float32")
PADDING = np.arange(S) < np.array([[7], [4], [1]])

both_norms = pytest.mark.parametrize("norm_first", [True, False], ids=["pre-norm", "post-norm"])


def drawn(**options):
    """A block with every weight drawn, the scales and shifts of its norms too."""
    block = layers.TransformerDecoder(HEADS, 12, **options)
    block(X, ENCODED)
    block.set_weights([G.normal(size=w.shape) / 2 for w in block.get_weights()])
    return block


def stock(layer, ours, *shapes):
    layer.build(*shapes)
    layer.set_weights(ours.get_weights())
    return layer


def in_stock_layers(block, x, encoded, encoded_mask):
    attention, cross = (
        stock(keras.layers.MultiHeadAttention(HEADS, D // HEADS), ours, X.shape, X.shape)
        for ours in (block.attention, block.cross_attention)
    )
    norms = [
        stock(keras.layers.LayerNormalization(epsilon=1e-5), ours, X.shape)
        for ours in (block.attention_norm, block.cross_attention_norm, block.feed_forward_norm)
    ]
    first = stock(keras.layers.Dense(12, "relu"), block.intermediate, X.shape)
    second = stock(keras.layers.Dense(D), block.output_dense, (B, T, 12))
    mask = None if encoded_mask is None else encoded_mask[:, None, :]
    branches = [
        lambda x: attention(x, x, use_causal_mask=True),
        lambda x: cross(x, encoded, attention_mask=mask),
        lambda x: second(first(x)),
    ]
    for branch, norm in zip(branches, norms, strict=True):
        x = x + branch(norm(x)) if block.norm_first else norm(x + branch(x))
    return np.asarray(x)


@both_norms
@pytest.mark.parametrize("padded", [True, False])
def test_equals_stock_layers(norm_first, padded):
    block, mask = drawn(norm_first=norm_first), PADDING if padded else None
    found = np.asarray(block(X, ENCODED, encoded_mask=mask))
    assert found.shape == block.compute_output_shape(X.shape, ENCODED.shape)
    np.testing.assert_allclose(found, in_stock_layers(block, X, ENCODED, mask), atol=2e-5)


@both_norms
def test_stepping_equals_reading(norm_first):
    block = drawn(norm_first=norm_first)
    whole = np.asarray(block(X, ENCODED, encoded_mask=PADDING))
    state, memory = block.initial_state(B, T + 2), block.memory(ENCODED)
    for t in range(T):
        place = CachePosition.at(np.full(B, t, "int32"), T + 2)
        output, state = block.step(X[:, t], state, place, memory, PADDING)
        np.testing.assert_allclose(output, whole[:, t], atol=1e-5)


def test_masks_of_embeddings_are_followed():
    """A Functional model hands both masks on; padding of either side is not seen."""
    block = layers.TransformerDecoder(HEADS, 12)
    ids, source = keras.Input((T,), dtype="int32"), keras.Input((S,), dtype="int32")
    embedding = keras.layers.Embedding(10, D, mask_zero=True)
    decoded = block(embedding(ids), embedding(source))
    model = keras.Model([ids, source], decoded)
    target = np.array([[1, 2, 3, 0, 0]], "int32")
    read = np.array([[4, 5, 6, 7, 0, 0, 0]], "int32")
    whole = np.asarray(model([target, read]))
    cut = block(embedding(target), embedding(read[:, :4]))
    np.testing.assert_allclose(whole[:, :3], np.asarray(cut)[:, :3], atol=1e-6)


def test_config_and_errors(tmp_path):
    a, b = keras.Input((T, D)), keras.Input((S, D))
    model = keras.Model([a, b], layers.TransformerDecoder(HEADS, 12, 0.5, "gelu", False)(a, b))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(model([X, ENCODED]), again([X, ENCODED]))
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
    with pytest.raises(ValueError, match=r"width=8, num_heads=3"):
        layers.TransformerDecoder(3, 12)(X, ENCODED)
    with pytest.raises(ValueError, match=r"dropout is a share in \[0, 1\). Received: 1"):
        layers.TransformerDecoder(2, 12, dropout=1)
