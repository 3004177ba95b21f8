"""The same models on JAX, in a process that has no TensorFlow."""

import functools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq import layers
from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
from keras_seq.embeddings import TokenEmbedding, token_mask
from keras_seq.models import TextGenerator
from keras_seq.text import ByteTokenizer, SentencePieceTokenizer

pytestmark = pytest.mark.slow

G = np.random.default_rng(2)
T = 8
TOKEN_IDS = G.integers(1, 30, (3, T)).astype("int32")
TOKEN_IDS[1, 5:] = TOKEN_IDS[2, 1:] = 0

BACKBONES = {
    "rnn": lambda: RecurrentBackbone(6, "rnn", num_layers=2),
    "lstm": lambda: RecurrentBackbone(6, "lstm", num_layers=2),
    "bidirectional": lambda: RecurrentBackbone(6, "lstm", bidirectional=True),
    "transformer": lambda: TransformerBackbone(8, 2, 2, max_length=T, causal=True),
    "encoder": lambda: TransformerBackbone(8, 1, 2, max_length=T, positions="sinusoidal"),
}

COMPUTES = """
import sys
sys.modules["tensorflow"] = None
import jax, keras, numpy as np
from pathlib import Path
import keras_seq.embeddings, keras_seq.backbones
assert keras.backend.backend() == "jax"

def computed(folder):
    given = np.load(folder / "given.npz")
    inputs = [given[name] for name in sorted(given.files) if name.startswith("input")]
    model = keras.saving.load_model(folder / "model.keras")
    found = {"output": model(inputs)}

    def loss(trainable, rest):
        output, _ = model.stateless_call(trainable, rest, inputs, training=True)
        return (output * given["weights"]).sum()

    trainable = [v.value for v in model.trainable_variables]
    rest = [v.value for v in model.non_trainable_variables]
    gradients = jax.jit(jax.grad(loss))(trainable, rest)
    found |= {f"gradient_{i:03d}": gradient for i, gradient in enumerate(gradients)}
    backbone = model.layers[-1]
    if getattr(backbone, "causal", False):
        vectors = model.get_layer("tokens")(inputs[0])
        state = backbone.initial_state(3, inputs[0].shape[1])
        steps = []
        for t in range(inputs[0].shape[1]):
            hidden, state = backbone.step(vectors[:, t], state, inputs[0][:, t] != 0)
            steps.append(hidden)
        found["steps"] = np.stack(steps, axis=1)
    np.savez(folder / "found.npz", **found)

for folder in Path().iterdir():
    computed(folder)
"""


def run_on_jax(program, folder):
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]


def of_backbone(name):
    ids = keras.Input((T,), dtype="int32")
    backbone = BACKBONES[name]()
    vectors = TokenEmbedding(30, backbone.hidden_dim, name="tokens")(ids)
    return keras.Model(ids, backbone(vectors, mask=token_mask(ids))), [TOKEN_IDS]


def of_decoder_block():
    inputs = [G.normal(size=(3, n, 8)).astype("float32") for n in (5, 7)]
    a, b = keras.Input((5, 8)), keras.Input((7, 8))
    return keras.Model([a, b], layers.TransformerDecoder(2, 16)(a, b)), inputs


def of_dropout():
    """Drops the same elements: the seed and the counts decide, not the backend."""
    a = keras.Input((50,))
    dropped = layers.Dropout(0.5, seed=3)(keras.layers.Dense(50)(a))
    return keras.Model(a, dropped), [G.normal(size=(3, 50)).astype("float32")]


MODELS = {name: functools.partial(of_backbone, name) for name in BACKBONES}
MODELS |= {"decoder block": of_decoder_block, "dropout": of_dropout}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """By model, what it computes here, `{name: array}`, and what it does on JAX."""
    folder = tmp_path_factory.mktemp("jax")
    here = {}
    for name, make in MODELS.items():
        model, inputs = make()
        with tf.GradientTape() as tape:
            output = model(inputs, training=True)
            weights = G.normal(size=output.shape).astype("float32")
            total = tf.reduce_sum(output * weights)
        here[name] = {"output": model(inputs).numpy()}
        for i, gradient in enumerate(tape.gradient(total, model.trainable_variables)):
            here[name][f"gradient_{i:03d}"] = tf.convert_to_tensor(gradient).numpy()
        (folder / name).mkdir()
        model.save(folder / name / "model.keras")
        given = {f"input{i}": x for i, x in enumerate(inputs)}
        np.savez(folder / name / "given.npz", weights=weights, **given)
    run_on_jax(COMPUTES, folder)
    return {name: (here[name], dict(np.load(folder / name / "found.npz"))) for name in MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_the_same_outputs_and_gradients(both, name):
    here, on_jax = both[name]
    assert here.keys() == on_jax.keys() - {"steps"}
    for key, expected in here.items():
        np.testing.assert_allclose(on_jax[key], expected, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(on_jax["output"], here["output"], atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_steps(both, name):
    _, on_jax = both[name]
    assert ("steps" in on_jax) == BACKBONES[name]().causal
    if "steps" in on_jax:
        real = TOKEN_IDS != 0
        np.testing.assert_allclose(on_jax["steps"][real], on_jax["output"][real], atol=1e-5)


CUDNN = """
import sys
sys.modules["tensorflow"] = None
import jax, jax.experimental.rnn as rnn, keras, numpy as np
from keras_seq import layers
keras_rnn = sys.modules["keras.src.backend.jax.rnn"]

calls = []

def reference(x, h_0, c_0, weights, seq_lengths, input_size, hidden_size, **sizes):
    calls.append(x.shape)
    unpacked = rnn.unpack_lstm_weights(weights, input_size, hidden_size, 1, False)
    return rnn.lstm_ref(x, h_0, c_0, *unpacked, seq_lengths, input_size, hidden_size, **sizes)

x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")

def outputs_and_gradients(layer):
    layer(x)
    layer.bias.assign(np.linspace(-1, 1, 24))

    def total(weights, x):
        (output, h, c), _ = layer.stateless_call(
            weights, [v.value for v in layer.non_trainable_variables], x, training=True
        )
        return (output * np.arange(6)).sum() + (h * c).sum(), (output, h, c)

    weights = [v.value for v in layer.trainable_variables]
    return jax.tree.leaves(jax.value_and_grad(total, (0, 1), has_aux=True)(weights, x))

for options in ({}, {"go_backwards": True}, {"return_sequences": True},
                {"return_sequences": True, "go_backwards": True}):
    layer = layers.LSTM(6, return_state=True, **options)
    expected = outputs_and_gradients(layer)
    assert not calls
    # A machine without a GPU has no cuDNN: JAX's own reference of it stands in.
    keras_rnn._is_gpu_available, rnn.lstm = (lambda: True), reference
    found = outputs_and_gradients(layer)
    keras_rnn._is_gpu_available = lambda: False
    assert calls, options
    calls.clear()
    for ours, theirs in zip(expected, found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)

keras_rnn._is_gpu_available = lambda: True
masked = np.ones((3, 5), bool)
layers.LSTM(6)(x, mask=masked, training=True)
layers.LSTM(6, use_bias=False)(x, training=True)
layers.LSTM(6, recurrent_dropout=0.5)(x, training=True)
layers.LSTM(6, dtype="mixed_bfloat16")(x, training=True)
layers.LSTM(6)(x)
layers.RNN(6)(x, training=True)
assert not calls
layers.LSTM(6)(x, training=True)
assert calls
"""


def test_cudnn_is_given_what_it_takes(tmp_path):
    run_on_jax(CUDNN, tmp_path)


TOKENIZER = """
import sys
sys.modules["tensorflow"] = None
import jax, keras, numpy as np
import keras_seq
from keras_seq.text.utf8 import pack_texts
assert keras.backend.backend() == "jax"
tokenizer = keras_seq.text.SentencePieceTokenizer(open("tokenizer.model", "rb").read())
texts = ["a wonderful film", "", "\\u4e2d\\u6587 <s>\\0", b"\\xff\\xe4\\xbd a"]
for made in (tokenizer, keras_seq.text.ByteTokenizer()):
    ids = jax.jit(lambda text, n: made.token_ids(text, n, 30))(
        *pack_texts([t if isinstance(t, bytes) else t.encode() for t in texts])
    )
    expected = made.encode(texts)
    assert [row[row != 0].tolist() for row in np.asarray(ids)] == expected
    text, length = jax.jit(made.text)(ids)
    found = [row[:n].tobytes() for row, n in zip(np.asarray(text), np.asarray(length))]
    assert found == made.decode_bytes(expected)
"""


def test_the_tokenizer_in_a_graph(tmp_path, reviews):
    tokenizer = SentencePieceTokenizer.train(reviews.train.texts[:300], 1000)
    (tmp_path / "tokenizer.model").write_bytes(tokenizer.model)
    run_on_jax(TOKENIZER, tmp_path)


WRITES = """
import sys
sys.modules["tensorflow"] = None
import keras, numpy as np
import keras_seq
model = keras_seq.models.load_model("model.keras")
first = model.generate(["the people", ""], 20, temperature=0.9, seed=3)
assert "".join(model.stream("the people", 20, temperature=0.9, seed=3)) == first[0]
model.set_weights([-w for w in model.get_weights()])
second = model.generate(["the people", ""], 20, temperature=0.9, seed=3)
np.savez("found.npz", first=first, second=second)
"""


def test_generation(tmp_path):
    """The same texts, before and after the weights have changed."""
    backbone = TransformerBackbone(16, 2, 2, max_length=64, positions="rotary", causal=True)
    model = TextGenerator(backbone, ByteTokenizer(), 64)
    for weight in model.trainable_variables:
        weight.assign(G.normal(size=weight.shape) / 2)
    model.save(tmp_path / "model.keras")
    run_on_jax(WRITES, tmp_path)
    found = np.load(tmp_path / "found.npz")
    for name in ("first", "second"):
        expected = model.generate(["the people", ""], 20, temperature=0.9, seed=3)
        assert found[name].tolist() == expected
        model.set_weights([-w for w in model.get_weights()])
