"""Every layer of Keras 2 that sequence models have computes in Keras 3 what it did.

Many layers are outputs of one model: reading, building and asking is done once for all.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from keras_seq.errors import UserError
from tests.keras2.models import LAYERS as L
from tests.keras2.models import fill, ids, largest_difference, load, noise, save_and_load

FORMATS = ["h5", pytest.param("keras", marks=pytest.mark.full)]
RECURRENT = [
    L.LSTM,
    *(pytest.param(layer, marks=pytest.mark.full) for layer in (L.GRU, L.SimpleRNN)),
]
ARGUMENTS = (
    {"return_sequences": True},
    {"go_backwards": True, "return_sequences": True},
    {"use_bias": False, "activation": "relu"},
    {"dropout": 0.3, "recurrent_dropout": 0.2},
    {"zero_output_for_mask": True, "return_sequences": True},
    {"kernel_regularizer": "l2", "recurrent_constraint": "max_norm", "bias_initializer": "ones"},
)


def require_equal(model, path, inputs, tolerance=1e-6):
    new = save_and_load(fill(model), path)
    assert largest_difference(model, new, inputs) <= tolerance
    return new


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("layer", RECURRENT)
def test_recurrent_layers_with_padding(layer, suffix, full, tmp_path):
    tokens = L.Input((7,))
    x = L.Embedding(20, 4, mask_zero=True)(tokens)
    outputs = [layer(3, **arguments)(x) for arguments in (ARGUMENTS if full else ARGUMENTS[1::2])]
    outputs += [
        L.Bidirectional(layer(2, return_sequences=True), merge_mode=mode)(x)
        for mode in (("concat", "sum", "mul", "ave", None) if full else ("ave", None))
    ]
    outputs += [
        L.Bidirectional(layer(3), backward_layer=L.GRU(3, go_backwards=True))(x),
        layer(3, return_state=True)(x),
        L.Dense(2)(layer(2)(L.Bidirectional(layer(2, return_sequences=True))(x))),
    ]
    require_equal(tf_keras.Model(tokens, outputs), tmp_path / f"model.{suffix}", ids(4, 7))


def test_gates_with_padding(tmp_path):
    tokens = L.Input((7,))
    x = L.Embedding(20, 4, mask_zero=True)(tokens)
    outputs = [
        L.LSTM(3, recurrent_activation="hard_sigmoid", go_backwards=True, return_sequences=True)(x),
        L.GRU(3, reset_after=False, recurrent_activation="hard_sigmoid", return_sequences=True)(x),
        L.Bidirectional(L.GRU(2, return_sequences=True, dropout=0.2))(x),
    ]
    require_equal(tf_keras.Model(tokens, outputs), tmp_path / "model.h5", ids(4, 7))


def test_cells_and_unrolled_loops(tmp_path):
    x = L.Input((5, 4))
    outputs = [
        L.RNN([L.LSTMCell(3), L.GRUCell(4), L.SimpleRNNCell(2)], return_sequences=True)(x),
        L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.LSTMCell(2)]))(x),
        L.Bidirectional(L.RNN(L.GRUCell(3, reset_after=False), return_sequences=True))(x),
        L.LSTM(3, unroll=True)(x),
        L.LSTM(3, unit_forget_bias=False, recurrent_activation="linear")(x),
    ]
    require_equal(tf_keras.Model(x, outputs), tmp_path / "model.h5", noise(3, 5, 4))


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_encoders_states_begin_the_decoder(suffix, tmp_path):
    source, target = L.Input((6,)), L.Input((5,))
    embedding = L.Embedding(20, 4, mask_zero=True)
    forward = L.LSTM(4, return_state=True)(embedding(source))
    both = L.Bidirectional(L.LSTM(2, return_state=True))(embedding(source))
    states = [L.Concatenate()([both[1], both[3]]), L.Concatenate()([both[2], both[4]])]
    outputs = [
        L.LSTM(4, return_sequences=True)(embedding(target), initial_state=forward[1:]),
        L.LSTM(4, return_sequences=True, return_state=True)(
            embedding(target), initial_state=states
        ),
        L.GRU(4)(embedding(target), initial_state=forward[1]),
        L.Bidirectional(L.GRU(4, return_sequences=True))(
            embedding(target), initial_state=forward[1:]
        ),
        L.RNN(L.LSTMCell(4))(embedding(target), initial_state=states),
    ]
    model = tf_keras.Model([source, target], outputs)
    require_equal(model, tmp_path / f"model.{suffix}", [ids(4, 6), ids(4, 5, seed=3)])


ACTIVATIONS = ("elu", "exponential", "gelu", "hard_sigmoid", "linear", "mish", "relu", "selu",
               "sigmoid", "softmax", "softplus", "softsign", "swish", "tanh")  # fmt: skip


def test_activations_wherever_they_stand(tmp_path):
    x = L.Input((5, 4))
    outputs = [L.Activation(name)(x) for name in ACTIVATIONS]
    outputs += [L.Dense(3, activation=name)(x) for name in ACTIVATIONS]
    outputs += [L.GRU(2, recurrent_activation=name)(x) for name in ("hard_sigmoid", "relu", "elu")]
    outputs += [
        L.Dense(2, activation=function)(x)
        for function in (tf.nn.leaky_relu, tf.nn.silu, tf.nn.relu6, tf.nn.softmax)
    ]
    outputs += [
        L.LeakyReLU(alpha=0.1)(x),
        L.ELU(0.5)(x),
        L.PReLU(shared_axes=[1])(x),
        L.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2)(x),
        L.ThresholdedReLU(theta=0.3)(x),
        L.Softmax(axis=1)(x),
        L.Dense(3, activation=L.LeakyReLU(alpha=0.2))(x),
    ]
    require_equal(tf_keras.Model(x, outputs), tmp_path / "model.h5", 3 * noise(3, 5, 4), 1e-5)


def test_hard_sigmoid_is_that_of_keras_2():
    from keras_seq.keras2 import hard_sigmoid_keras2

    x = np.array([-9, -2.5, -1, 0, 1, 2.5, 9], "float32")
    expected = np.clip(0.2 * x + 0.5, 0, 1)
    np.testing.assert_allclose(hard_sigmoid_keras2(x), expected, atol=1e-7)
    assert abs(float(keras.activations.hard_sigmoid(1.0)) - 0.7) > 0.03


def test_convolutions_pools_and_norms(tmp_path):
    x = L.Input((8, 4))
    outputs = [
        layer(x)
        for layer in (
            L.Conv1D(3, 2, padding="causal", dilation_rate=2),
            L.Conv1D(4, 3, strides=2, groups=2, activation="relu"),
            L.SeparableConv1D(3, 2),
            L.DepthwiseConv1D(2, depth_multiplier=2),
            L.Conv1DTranspose(3, 2, strides=2),
            L.LocallyConnected1D(3, 2, strides=2, activation="tanh"),
            L.MaxPooling1D(2),
            L.AveragePooling1D(3, strides=2, padding="same"),
            L.GlobalMaxPooling1D(),
            L.GlobalAveragePooling1D(keepdims=True),
            L.BatchNormalization(),
            L.BatchNormalization(axis=[1], scale=False),
            L.BatchNormalization(synchronized=True),
            L.LayerNormalization(),
            L.LayerNormalization(axis=[1, 2]),
            L.UnitNormalization(),
            L.GroupNormalization(2),
            L.Flatten(),
            L.Permute((2, 1)),
            L.Reshape((-1, 2)),
            L.UpSampling1D(3),
            L.ZeroPadding1D((1, 2)),
            L.Cropping1D(1),
            L.SpatialDropout1D(0.2),
            L.GaussianDropout(0.2),
            L.GaussianNoise(0.2),
            L.AlphaDropout(0.2),
            L.ActivityRegularization(l1=0.1),
            L.Rescaling(2.0, 1.0),
            L.EinsumDense("btd,dk->btk", output_shape=(None, 5), bias_axes="k"),
        )
    ]
    require_equal(tf_keras.Model(x, outputs), tmp_path / "model.h5", noise(3, 8, 4), 1e-5)


def test_layers_on_each_step(tmp_path):
    x = L.Input((3, 5, 2))
    inner = tf_keras.Sequential([L.Dense(3), L.BatchNormalization(), L.LSTM(2)])
    outputs = [
        L.TimeDistributed(inner)(x),
        L.TimeDistributed(L.Bidirectional(L.GRU(3)))(x),
        L.TimeDistributed(L.Conv1D(2, 2, activation="hard_sigmoid"))(x),
        L.TimeDistributed(L.BatchNormalization(trainable=False))(x),
        L.RepeatVector(2)(L.Flatten()(x)),
    ]
    require_equal(tf_keras.Model(x, outputs), tmp_path / "model.h5", noise(3, 3, 5, 2))


def test_convolutions_that_recur(tmp_path):
    """Their gates are `hard_sigmoid` unless told otherwise, in all versions of Keras 2."""
    x, y = L.Input((3, 4, 4, 2)), L.Input((3, 6, 2))
    outputs = [
        L.ConvLSTM2D(2, 2, return_sequences=True)(x),
        L.Bidirectional(L.ConvLSTM2D(2, 2, padding="same"))(x),
        L.ConvLSTM2D(2, 2, recurrent_activation="sigmoid", strides=2)(x),
        L.ConvLSTM1D(2, 3)(y),
    ]
    model = tf_keras.Model([x, y], outputs)
    require_equal(model, tmp_path / "model.h5", [noise(2, 3, 4, 4, 2), noise(2, 3, 6, 2)])


def test_merges_of_padded_texts(tmp_path):
    a, b = L.Input((5,)), L.Input((5,))
    embedding = L.Embedding(20, 4, mask_zero=True)
    pair = [embedding(a), embedding(b)]
    merges = (L.Add, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Concatenate, L.Subtract)
    outputs = [L.SimpleRNN(2)(layer()(pair)) for layer in merges]
    outputs += [L.Dot(axes=2, normalize=True)(pair), L.GlobalAveragePooling1D()(pair[0])]
    outputs.append(L.SimpleRNN(2)(L.TimeDistributed(L.Dense(3))(pair[0])))
    outputs.append(L.SimpleRNN(2)(L.Masking(1.5)(L.Dense(3)(L.Dropout(0.1)(pair[0])))))
    model = tf_keras.Model([a, b], outputs)
    require_equal(model, tmp_path / "model.h5", [ids(4, 5), ids(4, 5, seed=3)])


@pytest.mark.parametrize("suffix", FORMATS)
def test_attention_of_padded_texts(suffix, tmp_path):
    a, b = L.Input((5,)), L.Input((6,))
    embedding = L.Embedding(20, 4, mask_zero=True)
    q, v = embedding(a), embedding(b)
    see = L.Input((5, 6), dtype="bool")
    outputs = [
        L.Attention()([q, v]),
        L.Attention(use_scale=True)([q, v]),
        L.Attention(score_mode="concat")([q, v]),
        L.Attention()([q, q], use_causal_mask=True),
        L.AdditiveAttention()([q, v]),
        L.AdditiveAttention(use_scale=False)([q, v, v]),
        L.MultiHeadAttention(2, 3)(q, v),
        L.MultiHeadAttention(2, 3, dropout=0.1)(q, v, use_causal_mask=True),
        L.MultiHeadAttention(2, 3, value_dim=5, output_shape=7)(q, v, return_attention_scores=True),
        L.MultiHeadAttention(2, 3, use_bias=False)(q, v, attention_mask=see),
    ]
    model = tf_keras.Model([a, b, see], outputs)
    seen = np.random.default_rng(0).integers(0, 2, (4, 5, 6)).astype(bool)
    inputs = [ids(4, 5), ids(4, 6, seed=3), tf.constant(seen)]
    require_equal(model, tmp_path / f"model.{suffix}", inputs)


def test_models_inside_models_and_layers_that_are_shared(tmp_path):
    a, b = L.Input((5, 4), name="left/a"), L.Input((5, 4), name="right")
    shared, encoder = L.LSTM(3, name="shared"), tf_keras.Sequential([L.Dense(4), L.GRU(3)])
    inner = L.Input((5, 4))
    two = tf_keras.Model(inner, [L.LSTM(3, name="shared")(inner), L.Dense(2)(inner)], name="two")
    model = tf_keras.Model(
        {"a": a, "b": b},
        {
            "difference": L.Subtract()([shared(a), shared(b)]),
            "encoded": L.Dot(1)([encoder(a), encoder(b)]),
            "first": two(a)[0],
            "second": two(b)[1],
        },
    )
    inputs = {"a": noise(2, 5, 4), "b": noise(2, 5, 4, seed=5)}
    new = require_equal(model, tmp_path / "model.h5", inputs)
    assert set(new(inputs)) == {"difference", "encoded", "first", "second"}
    assert len(new.weights) == len(model.weights)


def test_a_stateful_model_carries_its_states(tmp_path):
    model = fill(
        tf_keras.Sequential(
            [
                L.LSTM(3, stateful=True, return_sequences=True, batch_input_shape=(2, 5, 3)),
                L.GRU(2, stateful=True, return_sequences=True),
                L.Dense(2),
            ]
        )
    )
    new = save_and_load(model, tmp_path / "model.h5")
    for seed in range(2):  # the second call begins where the first one ended
        x = noise(2, 5, 3, seed=seed)
        np.testing.assert_allclose(new(x), model(x), atol=1e-6)


def test_a_compiled_model_loses_its_optimizer_alone(tmp_path):
    model = fill(
        tf_keras.Sequential([L.Input((4, 3)), L.LSTM(3), L.Dense(2, activation="softmax")])
    )
    model.compile("adam", "categorical_crossentropy", ["accuracy"])
    model.fit(noise(4, 4, 3), np.eye(2)[[0, 1, 0, 1]], verbose=0)
    require_equal(model, tmp_path / "model.keras", noise(2, 4, 3))


def test_precision_and_frozen_layers_stay(tmp_path):
    model = tf_keras.Sequential(
        [
            L.Input((4, 3)),
            L.TimeDistributed(L.BatchNormalization()),
            L.Bidirectional(L.LSTM(3), trainable=False),
            L.Dense(2, dtype="float64"),
        ]
    )
    new = require_equal(model, tmp_path / "model.h5", noise(2, 4, 3))
    assert new.layers[-1].dtype == "float64"
    assert not new.layers[1].trainable


def test_texts_and_numbers_that_are_looked_up(tmp_path):
    words = L.TextVectorization(output_sequence_length=5)
    words.adapt(["a good film", "bad film the"])
    counts = L.TextVectorization(output_mode="count", max_tokens=20, pad_to_max_tokens=True)
    counts.adapt(["a good film"])
    weighted = L.TextVectorization(output_mode="tf_idf")
    weighted.adapt(["a good film", "bad film the"])
    letters = L.TextVectorization(standardize=None, split="character", output_sequence_length=6)
    letters.adapt(["film"])
    text, label = L.Input((1,), dtype="string"), L.Input((3,), dtype="string")
    number, size = L.Input((3,), dtype="int64"), L.Input((3,))
    outputs = [
        L.LSTM(3)(L.Embedding(20, 4)(words(text))),
        L.Dense(2)(counts(text)),
        L.Dense(2)(weighted(text)),
        L.Embedding(20, 3)(letters(text)),
        L.Embedding(9, 3)(L.StringLookup(vocabulary=["a", "b", "good"], mask_token="")(label)),
        L.Embedding(9, 3)(L.IntegerLookup(vocabulary=[3, 7, 9])(number)),
        L.Embedding(11, 3)(L.Hashing(11)(label)),
        L.CategoryEncoding(12, output_mode="multi_hot")(number),
        L.Embedding(5, 2)(L.Discretization([-1.0, 0.0, 1.0])(size)),
    ]
    model = tf_keras.Model([text, label, number, size], outputs)
    inputs = [
        tf.constant([["a good one"], ["the film"]]),
        tf.constant([["a", "b", "?"], ["good", "", "a"]]),
        tf.constant([[3, 7, 8], [9, 0, 1]], "int64"),
        noise(2, 3),
    ]
    require_equal(model, tmp_path / "model.keras", inputs)


@pytest.mark.parametrize("axis", [-1, None])
def test_what_numbers_are_scaled_by(axis, tmp_path):
    scaled = L.Normalization(axis=axis)
    scaled.adapt(np.random.default_rng(0).normal(2, 3, (20, 3)))
    model = tf_keras.Sequential([L.Input((4, 3)), scaled, L.SimpleRNN(2)])
    new = save_and_load(model, tmp_path / "model.h5")
    assert largest_difference(model, new, noise(2, 4, 3)) <= 1e-6


def test_a_layer_that_keras_3_lacks_is_named(tmp_path):
    model = tf_keras.Sequential([L.Input((6, 6, 1)), L.LocallyConnected2D(2, 2, name="local")])
    with pytest.raises(UserError, match="'local' is of the class LocallyConnected2D"):
        save_and_load(model, tmp_path / "model.h5")
    model = tf_keras.Sequential([L.Input((6, 3)), L.LSTM(2, time_major=True, name="first")])
    with pytest.raises(UserError, match="'first'.*time_major=True"):
        save_and_load(model, tmp_path / "model.h5")


def test_what_is_written_is_what_was_converted(tmp_path):
    x = L.Input((5, 4))
    model = fill(
        tf_keras.Model(
            x,
            tf.reduce_mean(
                L.GRU(3, recurrent_activation="hard_sigmoid", return_sequences=True)(x), 1
            ),
        )
    )
    new = save_and_load(model, tmp_path / "old.h5")
    new.save(tmp_path / "new.keras")
    again, said = load(tmp_path / "new.keras")
    assert largest_difference(model, again, noise(2, 5, 4)) <= 1e-6
    assert not said
