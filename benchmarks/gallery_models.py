"""Ordinary Keras models from public Keras examples and issue threads, with random weights."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

GALLERY: dict[str, Callable[[], keras.Model]] = {}


def model(build: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    """Adds `build` to the gallery, with random weights."""

    def build_with_weights() -> keras.Model:
        keras.utils.set_random_seed(0)
        built = build()
        generator = np.random.default_rng(0)
        built.set_weights(
            [
                # Biases, scales and moving averages too: zeros and ones would hide mistakes.
                w + 0.05 * np.abs(generator.normal(size=w.shape)).astype(w.dtype)
                if w.dtype.kind == "f"
                else w
                for w in built.get_weights()
            ]
        )
        return built

    GALLERY[build.__name__] = build_with_weights
    return build_with_weights


@model
def imdb_bidirectional_lstm():
    return keras.Sequential(
        [
            keras.Input((40,), dtype="int32"),
            layers.Embedding(2000, 32),
            layers.Bidirectional(layers.LSTM(32, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(32)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


@model
def imdb_masked_lstm():
    return keras.Sequential(
        [
            keras.Input((40,), dtype="int32"),
            layers.Embedding(2000, 32, mask_zero=True),
            layers.Bidirectional(layers.LSTM(32, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(32)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


@model
def character_lstm():
    return keras.Sequential(
        [
            keras.Input((40, 57)),
            layers.LSTM(128),
            layers.Dense(57, activation="softmax"),
        ]
    )


@model
def simple_rnn():
    return keras.Sequential(
        [keras.Input((30, 8)), layers.SimpleRNN(32), layers.Dense(1, name="forecast")]
    )


@model
def time_series_lstm():
    inputs = keras.Input((120, 7), name="weather")
    return keras.Model(inputs, layers.Dense(1)(layers.LSTM(32)(inputs)))


@model
def stacked_gru():
    return keras.Sequential(
        [
            keras.Input((50, 16)),
            layers.GRU(32, return_sequences=True),
            layers.GRU(32),
            layers.Dense(4, activation="softmax"),
        ]
    )


@model
def gru_reset_before():
    return keras.Sequential(
        [keras.Input((50, 16)), layers.GRU(32, reset_after=False), layers.Dense(4)]
    )


@model
def cnn_lstm():
    return keras.Sequential(
        [
            keras.Input((64, 6)),
            layers.Conv1D(32, 5, activation="relu", padding="same"),
            layers.BatchNormalization(),
            layers.MaxPooling1D(2),
            layers.LSTM(32),
            layers.Dense(5, activation="softmax"),
        ]
    )


@model
def text_cnn():
    ids = keras.Input((60,), dtype="int32", name="token_ids")
    x = layers.Embedding(3000, 32)(ids)
    x = layers.Concatenate()(
        [layers.GlobalMaxPooling1D()(layers.Conv1D(32, k, activation="relu")(x)) for k in (3, 4, 5)]
    )
    return keras.Model(ids, layers.Dense(1, activation="sigmoid")(x))


class TokenAndPosition(layers.Layer):
    """The token-and-position embedding of the Keras text-classification Transformer."""

    def __init__(self, length, vocabulary, width, **kwargs):
        super().__init__(**kwargs)
        self.tokens = layers.Embedding(vocabulary, width)
        self.positions = layers.Embedding(length, width)

    def build(self, input_shape):
        self.tokens.build(input_shape)
        self.positions.build(input_shape)

    def call(self, x):
        return self.tokens(x) + self.positions(ops.arange(ops.shape(x)[-1]))


def encoder_block(x, heads=2, width=32, **options):
    x = layers.LayerNormalization()(
        x + layers.MultiHeadAttention(heads, width // heads)(x, x, **options)
    )
    return layers.LayerNormalization()(x + layers.Dense(width)(layers.Dense(64, "relu")(x)))


@model
def transformer_classifier():
    ids = keras.Input((80,), dtype="int32")
    x = encoder_block(TokenAndPosition(80, 2000, 32)(ids))
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(ids, layers.Dense(2, activation="softmax")(x))


@model
def masked_seq2seq_lstm():
    source = keras.Input((20,), dtype="int32", name="source")
    target = keras.Input((18,), dtype="int32", name="target")
    x = layers.Embedding(500, 32, mask_zero=True)(source)
    _, h, c = layers.LSTM(48, return_state=True)(x)
    y = layers.Embedding(600, 32, mask_zero=True)(target)
    y = layers.LSTM(48, return_sequences=True)(y, initial_state=[h, c])
    return keras.Model([source, target], layers.Dense(600, activation="softmax")(y))


@model
def conv_lstm_2d():
    return keras.Sequential(
        [
            keras.Input((6, 12, 12, 1)),
            layers.ConvLSTM2D(8, 3, padding="same", return_sequences=True),
            layers.BatchNormalization(),
            layers.ConvLSTM2D(8, 3, padding="same"),
            layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
        ]
    )


@model
def time_distributed_cnn():
    return keras.Sequential(
        [
            keras.Input((8, 16, 16, 3)),
            layers.TimeDistributed(layers.Conv2D(8, 3, activation="relu")),
            layers.TimeDistributed(layers.MaxPooling2D()),
            layers.TimeDistributed(layers.Flatten()),
            layers.LSTM(32),
            layers.Dense(4, activation="softmax"),
        ]
    )


@model
def time_series_attention():
    inputs = keras.Input((48, 5), name="series")
    x = layers.LSTM(32, return_sequences=True)(inputs)
    x = layers.Attention()([x, x])
    return keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(x)))


@model
def additive_attention():
    inputs = keras.Input((24, 5), name="series")
    x = layers.GRU(16, return_sequences=True)(inputs)
    context = layers.AdditiveAttention()([x[:, -1:], x])
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(context)))


@model
def ctc_speech():
    spectrogram = keras.Input((60, 40), name="spectrogram")
    x = layers.Reshape((60, 40, 1))(spectrogram)
    x = layers.Conv2D(8, (5, 5), strides=(2, 2), padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Reshape((30, 20 * 8))(x)
    x = layers.Bidirectional(layers.GRU(32, return_sequences=True))(x)
    x = layers.Dense(64)(x)
    return keras.Model(spectrogram, layers.Dense(29, activation="softmax", name="characters")(x))


@model
def seq2seq_addition():
    return keras.Sequential(
        [
            keras.Input((7, 12)),
            layers.LSTM(64),
            layers.RepeatVector(4),
            layers.LSTM(64, return_sequences=True),
            layers.Dense(12, activation="softmax"),
        ]
    )


@model
def stateful_lstm():
    inputs = keras.Input(batch_shape=(2, 10, 4), name="window")
    x = layers.LSTM(16, stateful=True, return_sequences=True, name="first")(inputs)
    x = layers.GRU(16, stateful=True, name="second")(x)
    return keras.Model(inputs, layers.Dense(1)(x))


def _bidirectional(merge_mode):
    def build():
        inputs = keras.Input((20, 6))
        layer = layers.Bidirectional(layers.LSTM(8, return_sequences=True), merge_mode=merge_mode)
        outputs = layer(inputs)
        if merge_mode is None:
            outputs = {"forward": outputs[0], "backward": outputs[1]}
        return keras.Model(inputs, outputs)

    build.__name__ = f"bidirectional_{merge_mode or 'apart'}"
    return model(build)


for _mode in ("concat", "sum", "mul", "ave", None):
    _bidirectional(_mode)


@model
def multi_input_multi_output():
    title = keras.Input((12,), dtype="int32", name="title")
    body = keras.Input((30,), dtype="int32", name="body")
    tags = keras.Input((6,), name="tags")
    x = layers.LSTM(16)(layers.Embedding(400, 16)(title))
    y = layers.LSTM(16)(layers.Embedding(400, 16)(body))
    x = layers.Concatenate()([x, y, tags])
    return keras.Model(
        {"title": title, "body": body, "tags": tags},
        {
            "priority": layers.Dense(1, activation="sigmoid", name="p")(x),
            "department": layers.Dense(4, activation="softmax", name="d")(x),
        },
    )


@model
def siamese_shared_layers():
    left = keras.Input((15,), dtype="int32", name="left")
    right = keras.Input((15,), dtype="int32", name="right")
    embedding, reader = layers.Embedding(300, 16, mask_zero=True), layers.GRU(24)
    a, b = reader(embedding(left)), reader(embedding(right))
    distance = layers.Dot(axes=1, normalize=True, name="similarity")([a, b])
    return keras.Model([left, right], distance)


@model
def cnn_gru_audio_tagger():
    log_mel = keras.Input((64, 32, 1), name="log_mel")
    x = log_mel
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.MaxPooling2D((2, 2))(layers.Activation("relu")(layers.BatchNormalization()(x)))
    x = layers.Reshape((16, 8 * 16))(x)
    x = layers.Bidirectional(layers.GRU(24, return_sequences=True))(x)
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(log_mel, layers.Dense(10, activation="sigmoid")(x))


@model
def sequence_tagger():
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    x = layers.Embedding(1000, 32, mask_zero=True)(ids)
    x = layers.Bidirectional(layers.LSTM(24, return_sequences=True))(x)
    return keras.Model(ids, layers.TimeDistributed(layers.Dense(9, activation="softmax"))(x))


@model
def transformer_padding_mask():
    ids = keras.Input((32,), dtype="int32", name="token_ids")
    x = layers.Embedding(800, 32, mask_zero=True)(ids)
    x = encoder_block(x)
    return keras.Model(ids, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


@model
def transformer_causal():
    ids = keras.Input((32,), dtype="int32", name="token_ids")
    x = TokenAndPosition(32, 500, 32)(ids)
    x = encoder_block(encoder_block(x, use_causal_mask=True), use_causal_mask=True)
    return keras.Model(ids, layers.Dense(500, name="logits")(x))


@model
def grouped_query_attention():
    inputs = keras.Input((20, 32))
    x = layers.GroupQueryAttention(8, 4, 2)(inputs, inputs, use_causal_mask=True)
    return keras.Model(inputs, layers.RMSNormalization()(x + inputs))


@model
def encoder_decoder_transformer():
    source = keras.Input((16,), dtype="int32", name="source")
    target = keras.Input((14,), dtype="int32", name="target")
    memory = encoder_block(layers.Embedding(300, 32, mask_zero=True)(source))
    x = layers.Embedding(300, 32, mask_zero=True)(target)
    x = encoder_block(x, use_causal_mask=True)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 16)(x, memory))
    return keras.Model([source, target], layers.Dense(300, name="logits")(x))


@keras.saving.register_keras_serializable("gallery")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = layers.Embedding(200, 16, mask_zero=True)
        self.reader = layers.Bidirectional(layers.GRU(12))
        self.head = layers.Dense(3, activation="softmax")

    def call(self, token_ids, training=False):
        return {"label": self.head(self.reader(self.embedding(token_ids)))}


@model
def subclassed():
    made = Subclassed()
    made(np.zeros((1, 25), "int32"))
    return made


@keras.saving.register_keras_serializable("gallery")
class MinimalCell(layers.Layer):
    """The minimal gated unit (Zhou et al. 2016), whose output is twice its state."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units

    def build(self, input_shape):
        width = input_shape[-1] + self.units
        self.gate = self.add_weight(shape=(width, self.units), name="gate")
        self.candidate = self.add_weight(shape=(width, self.units), name="candidate")

    def call(self, inputs, states):
        (h,) = states
        f = ops.sigmoid(ops.concatenate([inputs, h], -1) @ self.gate)
        g = ops.tanh(ops.concatenate([inputs, f * h], -1) @ self.candidate)
        h = (1 - f) * h + f * g
        return 2 * h, [h]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@model
def custom_cell():
    inputs = keras.Input((18, 5))
    x = layers.Masking(0.0)(inputs)
    x = layers.RNN(MinimalCell(12), return_sequences=True)(x)
    return keras.Model(inputs, layers.RNN(MinimalCell(7), go_backwards=True)(x))


@model
def stacked_cells():
    inputs = keras.Input((16, 5))
    x = layers.Masking(0.0)(inputs)
    cells = [layers.LSTMCell(8), layers.GRUCell(6), layers.SimpleRNNCell(7)]
    return keras.Model(inputs, layers.RNN(cells, return_sequences=True)(x))


@model
def text_vectorization():
    words = ["the", "film", "was", "good", "bad", "x", "it", "s", "a"]
    text = keras.Input((), dtype="string", name="text")
    x = layers.TextVectorization(output_sequence_length=20, vocabulary=words)(text)
    x = layers.Embedding(11, 8, mask_zero=True)(x)
    return keras.Model(text, layers.Dense(1, activation="sigmoid")(layers.LSTM(8)(x)))


@model
def string_lookup():
    genre = keras.Input((1,), dtype="string", name="genre")
    year = keras.Input((1,), name="year")
    x = layers.StringLookup(vocabulary=["the film", "a", "x", "good", "über", "好看"])(genre)
    x = layers.Flatten()(layers.Embedding(7, 4)(x))
    return keras.Model([genre, year], layers.Dense(2)(layers.Concatenate()([x, year])))


@model
def mixed_precision():
    policy = "mixed_float16"
    inputs = keras.Input((24, 6))
    x = layers.LSTM(16, return_sequences=True, dtype=policy)(inputs)
    x = layers.MultiHeadAttention(2, 8, dtype=policy)(x, x)
    x = layers.GRU(16, dtype=policy)(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", dtype="float32")(x))


@model
def hard_sigmoid_lstm():
    return keras.Sequential(
        [
            keras.Input((20, 6)),
            layers.LSTM(16, recurrent_activation="hard_sigmoid", return_sequences=True),
            layers.GRU(16, activation="relu", return_sequences=True),
            layers.SimpleRNN(16, activation="gelu", unroll=True),
        ]
    )


@model
def lstm_autoencoder():
    series = keras.Input((24, 3), name="series")
    x = layers.LSTM(16, use_bias=False)(layers.Masking(0.0)(series))
    x = layers.LSTM(16, return_sequences=True)(layers.RepeatVector(24)(x))
    return keras.Model(series, layers.TimeDistributed(layers.Dense(3))(x))


@model
def conv_lstm_1d():
    return keras.Sequential(
        [
            keras.Input((6, 16, 2)),
            layers.ConvLSTM1D(4, 3, return_sequences=True, padding="same"),
            layers.Bidirectional(layers.ConvLSTM1D(4, 3, padding="same")),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
