"""Multi-head attention against its equation in NumPy and against the stock layer of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq import layers
from keras_seq.layers.cache import CachePosition
from keras_seq.layers.lowering import Lowering, use_lowering

G = np.random.default_rng(3)
B, T, S, D = 3, 5, 7, 6
QUERY = G.normal(size=(B, T, D)).astype("float32")
VALUE = G.normal(size=(B, S, 4)).astype("float32")
KEY = G.normal(size=(B, S, 3)).astype("float32")
# Key 1 is hidden from nobody, so that no row is without a key.
VALUE_MASK = np.array([[1] * 7, [1, 1, 1, 0, 0, 0, 0], [0, 1, 0, 1, 1, 0, 0]], bool)
KEY_MASK = np.array([[1, 1, 0, 1, 1, 1, 1], [1] * 7, [1, 1, 1, 1, 0, 0, 1]], bool)
ATTENTION_MASK = G.random((B, T, S)) > 0.4
ATTENTION_MASK[:, :, 1] = True
PADDING = np.arange(T) < np.array([[5], [3], [1]])

OPTIONS = {
    "plain": {},
    "value_dim": {"value_dim": 5},
    "no bias": {"use_bias": False},
    "output_shape": {"output_shape": 9},
    "all": {"value_dim": 2, "use_bias": False, "output_shape": 3},
}
MASKS = {
    "no mask": {},
    "value_mask": {"value_mask": VALUE_MASK},
    "key_mask": {"key_mask": KEY_MASK},
    "attention_mask": {"attention_mask": ATTENTION_MASK},
    "causal": {"use_causal_mask": True},
    "all": {
        "value_mask": VALUE_MASK | (np.arange(S) == 0),
        "key_mask": KEY_MASK | (np.arange(S) == 0),
        "attention_mask": ATTENTION_MASK | (np.arange(S) == 0),
        "use_causal_mask": True,
    },
}


def seen(queries, keys, value_mask=True, key_mask=True, attention_mask=True, use_causal_mask=False):
    """`(B, T, S)`: which key each query sees."""
    see = np.ones((B, queries, keys), bool) & attention_mask
    for mask in (value_mask, key_mask):
        see = see & (mask if mask is True else mask[:, None, :])
    return see & np.tri(queries, keys, dtype=bool) if use_causal_mask else see


def equation(layer, query, value, key, see):
    """The equation of the docstring, a row, a head and a query at a time."""
    weights = [w.astype("float64") for w in layer.get_weights()]
    if layer.use_bias:
        wq, bq, wk, bk, wv, bv, wo, bo = weights
    else:
        (wq, wk, wv, wo), (bq, bk, bv, bo) = weights, [np.zeros((2, 1))] * 3 + [0]
    outputs = np.zeros((*query.shape[:2], wo.shape[-1]))
    for row in range(len(query)):
        for head in range(2):
            q = query[row] @ wq[:, head] + bq[head]
            k = key[row] @ wk[:, head] + bk[head]
            v = value[row] @ wv[:, head] + bv[head]
            for t in range(len(q)):
                keys = np.flatnonzero(see[row, t])
                e = np.exp([q[t] @ k[s] / np.sqrt(wq.shape[-1]) for s in keys])
                outputs[row, t] += e / e.sum() @ v[keys] @ wo[head]
    return outputs + bo


def pair(arguments, **options):
    """Our layer and the stock one, with the same drawn weights, biases too."""
    ours, stock = layers.MultiHeadAttention(2, 4, **options), keras.layers.MultiHeadAttention(
        2, 4, **options
    )  # fmt: skip
    ours(**arguments)
    stock(**arguments)
    stock.set_weights([G.normal(size=w.shape) / 2 for w in stock.get_weights()])
    ours.set_weights(stock.get_weights())
    return ours, stock


@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_cross_attention(options, masks):
    arguments = {"query": QUERY, "value": VALUE, "key": KEY}
    ours, stock = pair(arguments, **options)
    found = ours(**arguments, **masks)
    assert ours.compute_output_shape(QUERY.shape) == found.shape
    np.testing.assert_allclose(
        found, equation(ours, QUERY, VALUE, KEY, seen(T, S, **masks)), atol=1e-5
    )
    np.testing.assert_allclose(found, stock(**arguments, **masks), atol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_value_is_the_key_where_none_is_given(causal):
    arguments = {"query": QUERY, "value": VALUE}
    ours, stock = pair(arguments)
    found = ours(**arguments, use_causal_mask=causal)
    see = seen(T, S, use_causal_mask=causal)
    np.testing.assert_allclose(found, equation(ours, QUERY, VALUE, VALUE, see), atol=1e-5)
    np.testing.assert_allclose(found, stock(**arguments, use_causal_mask=causal), atol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_self_attention(causal, padded):
    """Where a position is not padded: there the stock layer means the same."""
    stock = keras.layers.MultiHeadAttention(2, 4)
    stock(QUERY, QUERY)
    ours = layers.MultiHeadAttention(2, 4)
    ours(QUERY)
    ours.set_weights([G.normal(size=w.shape) / 2 for w in ours.get_weights()])
    stock.set_weights(ours.get_weights())
    mask = PADDING if padded else np.ones_like(PADDING)
    see = seen(T, T, value_mask=mask, use_causal_mask=causal)
    found = np.asarray(ours(QUERY, query_mask=mask, use_causal_mask=causal))
    np.testing.assert_allclose(found, equation(ours, QUERY, QUERY, QUERY, see), atol=1e-5)
    expected = stock(QUERY, QUERY, query_mask=mask, value_mask=mask, use_causal_mask=causal)
    np.testing.assert_allclose(found[mask], np.asarray(expected)[mask], atol=1e-5)
    again = ours(QUERY, QUERY, QUERY, value_mask=mask, use_causal_mask=causal)
    np.testing.assert_allclose(found, again, atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("masks", [MASKS["no mask"], MASKS["all"]], ids=["no mask", "masks"])
def test_gradients(options, masks):
    arguments = {"query": QUERY, "value": VALUE, "key": KEY}
    arguments = {name: tf.constant(x) for name, x in arguments.items()}
    pairs = pair(arguments, **options)
    target = G.normal(size=(B, T, options.get("output_shape", D))).astype("float32")
    found = []
    for layer in pairs:
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            loss = tf.reduce_mean((layer(**arguments, **masks) - target) ** 2)
        variables = [v.value for v in layer.trainable_variables]
        found.append(tape.gradient(loss, [*arguments.values(), *variables]))
    assert len(found[0]) == (7 if options.get("use_bias") is False else 11)
    for i, (a, b) in enumerate(zip(*found, strict=True)):
        np.testing.assert_allclose(a, b, atol=1e-5, err_msg=str(i))
    assert np.abs(found[0][0]).max() > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_every_key_hidden_stays_finite(dtype):
    layer = layers.MultiHeadAttention(2, 4, dtype=dtype)
    mask = np.ones((B, T), bool)
    mask[1] = False
    x = tf.constant(QUERY)
    plain = layer(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = layer(x, value_mask=mask)
        loss = tf.reduce_sum(tf.cast(found, tf.float32))
    assert np.isfinite(np.asarray(tf.cast(found, tf.float32))).all()
    for gradient in tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)]):
        assert np.isfinite(np.asarray(tf.cast(gradient, tf.float32))).all()
    np.testing.assert_array_equal(
        tf.cast(tf.gather(found, [0, 2]), tf.float32), tf.cast(tf.gather(plain, [0, 2]), tf.float32)
    )


def test_what_a_hidden_key_holds_is_not_seen():
    layer = layers.MultiHeadAttention(2, 4)
    other = np.where(VALUE_MASK[:, :, None], VALUE, 50).astype("float32")
    found = [np.asarray(layer(QUERY, v, value_mask=VALUE_MASK)) for v in (VALUE, other)]
    np.testing.assert_allclose(*found, atol=1e-6)
    assert np.abs(np.asarray(layer(QUERY, other)) - layer(QUERY, VALUE)).max() > 1e-3


@pytest.mark.parametrize("options", [{}, {"value_dim": 3, "use_bias": False}], ids=["", "options"])
def test_fewer_operators_compute_the_same(options):
    """The kernels of one input side by side, as they are exported; of two inputs, each for itself."""
    layer = layers.MultiHeadAttention(2, 4, **options)
    value, key = QUERY[:, ::-1], QUERY[::-1]
    expected = [layer(QUERY), layer(QUERY, value), layer(QUERY, value, key)]
    state = tuple(G.normal(size=x.shape).astype("float32") for x in layer.initial_state(B, T))
    place = CachePosition.at(np.full(B, 2, "int32"), T)
    expected += [layer.step(QUERY[:, 2], state, place)[0]]
    with use_lowering(Lowering(fuse_projections=True)):
        found = [layer(QUERY), layer(QUERY, value), layer(QUERY, value, key)]
        found += [layer.step(QUERY[:, 2], state, place)[0]]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"value_dim": 3, "use_bias": False}], ids=["", "options"])
@pytest.mark.parametrize("room", [0, 4])
def test_steps_make_the_causal_sequence(options, room):
    layer = layers.MultiHeadAttention(2, 4, **options)
    whole = np.asarray(layer(QUERY, use_causal_mask=True))
    state = layer.initial_state(B, T + room)
    shapes = [(B, 2, T + room, 4), (B, 2, T + room, options.get("value_dim", 4))]
    for t in range(T):
        assert [tuple(part.shape) for part in state] == shapes
        output, state = layer.step(
            QUERY[:, t], state, CachePosition.at(np.full(B, t, "int32"), state[0].shape[2])
        )
        np.testing.assert_allclose(output, whole[:, t], atol=1e-5)
    keys, values = layer.project_key_value(QUERY)
    np.testing.assert_allclose(state[0][:, :, :T], keys, atol=1e-6)
    np.testing.assert_allclose(state[1][:, :, :T], values, atol=1e-6)
    assert not np.asarray(state[0])[:, :, T:].any()


def test_steps_of_rows_at_different_positions():
    """Row r starts r turns late: until then it stays at slot 0, and waits at its end."""
    layer = layers.MultiHeadAttention(2, 4)
    whole = np.asarray(layer(QUERY, use_causal_mask=True))
    state = layer.initial_state(B, T)
    late = np.arange(B)
    checked = 0
    for turn in range(T + B - 1):
        position = np.clip(turn - late, 0, T - 1).astype("int32")
        output, state = layer.step(
            QUERY[np.arange(B), position], state, CachePosition.at(position, state[0].shape[2])
        )
        np.testing.assert_allclose(output, whole[np.arange(B), position], atol=1e-5)
        checked += len(set(position)) > 1
    assert checked >= T - 1


def test_cache_is_never_read_past_the_position():
    layer = layers.MultiHeadAttention(2, 4)
    layer(QUERY)
    junk = tuple(np.full(part.shape, 9, "float32") for part in layer.initial_state(B, T))
    position = np.zeros(B, "int32")
    output, _ = layer.step(QUERY[:, 0], junk, CachePosition.at(position, junk[0].shape[2]))
    np.testing.assert_allclose(output, layer(QUERY[:, :1])[:, 0], atol=1e-5)


def test_dropout_of_the_attention_weights():
    layer = layers.MultiHeadAttention(2, 4, dropout=0.5, seed=0)
    plain = np.asarray(layer(QUERY))
    assert np.abs(plain - layer(QUERY, training=True)).max() > 1e-3
    np.testing.assert_array_equal(plain, layer(QUERY, training=False))
    same = layers.MultiHeadAttention(2, 4)
    same(QUERY)
    same.set_weights(layer.get_weights())
    np.testing.assert_array_equal(plain, same(QUERY))


@pytest.mark.parametrize("count", [1, 2, 3], ids=["query", "query value", "query value key"])
def test_padding_of_an_embedding_is_hidden(count):
    """The mask that Keras carries with a tensor, in self-attention written in three ways."""
    ids = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(9, D, mask_zero=True)(ids)
    model = keras.Model(ids, layers.MultiHeadAttention(2, 4)(*[hidden] * count))
    tokens = np.array([[3, 4, 5], [7, 8, 2]])
    longer = np.pad(tokens, ((0, 0), (0, 4)))
    found, expected = np.asarray(model(longer))[:, :3], np.asarray(model(tokens))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_mask_goes_on_to_the_next_layer():
    """As from the stock layer: pooling after attention leaves the padding out."""
    tokens = np.array([[3, 4, 5], [7, 8, 2]])
    longer = np.pad(tokens, ((0, 0), (0, 4)))
    for kind in (keras.layers.MultiHeadAttention, layers.MultiHeadAttention):
        ids = keras.Input((None,), dtype="int32")
        hidden = keras.layers.Embedding(9, D, mask_zero=True)(ids)
        hidden = kind(2, 4)(hidden, hidden)
        model = keras.Model(ids, keras.layers.GlobalAveragePooling1D()(hidden))
        np.testing.assert_allclose(
            model(longer), model(tokens), atol=1e-6, rtol=1e-5, err_msg=kind.__module__
        )


def test_model_comes_back_from_its_file(tmp_path):
    query, value, key = (keras.Input((None, x.shape[-1])) for x in (QUERY, VALUE, KEY))
    layer = layers.MultiHeadAttention(
        2, 4, value_dim=3, dropout=0.2, use_bias=False, output_shape=5, seed=4, name="attention",
        kernel_initializer="he_normal", bias_initializer="ones",
    )  # fmt: skip
    outputs = layer(query, value, key, use_causal_mask=True)
    assert outputs.shape == (None, None, 5)
    model = keras.Model([query, value, key], outputs)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    arguments = [QUERY, VALUE, KEY]
    np.testing.assert_array_equal(loaded(arguments), model(arguments))
    found = loaded.get_layer("attention").get_config()
    assert found == layer.get_config()
    assert (found["value_dim"], found["dropout"], found["output_shape"]) == (3, 0.2, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 4), "num_heads.*0"), ((2.0, 4), r"num_heads.*2\.0"), ((2, -4), "key_dim.*-4")],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.MultiHeadAttention(*arguments)
