"""A whole generation inside each format, through the format's own runtime, against Keras."""

import numpy as np
import pytest
import tensorflow as tf

from export import formats, runtime
from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
from keras_seq.decoding import generate
from keras_seq.signature import Signature, TensorSpec

V, PROMPT, NEW, END, B = 40, 6, 12, 3, 4
LENGTH = PROMPT + NEW
G = np.random.default_rng(4)
BACKBONES = {
    "rnn": lambda: RecurrentBackbone(V, 16, "rnn"),
    "lstm": lambda: RecurrentBackbone(V, 16, "lstm", num_layers=2),
    "transformer": lambda: TransformerBackbone(V, 16, 2, 2, max_length=LENGTH, causal=True),
}


def generation(backbone, head):
    """The signature of the contract, and the logits before each token of what it gives."""

    def logits(hidden):
        return tf.where(tf.range(V) == 0, -1e9, tf.matmul(hidden, head))

    def step(token, state):
        hidden, state = backbone.step(token, state)
        return logits(hidden), state

    def function(token_ids, length, max_new_tokens, temperature, top_k, top_p, uniforms):
        hidden, state = backbone.prefill(token_ids, length, LENGTH)
        ids, count = generate(
            step, logits(hidden), state, uniforms, max_new_tokens, temperature, top_k, top_p, END
        )
        return {"token_ids": ids, "length": count}

    scalars = (("max_new_tokens", "int32"), ("temperature", "float32"), ("top_k", "int32"))
    inputs = (
        TensorSpec("token_ids", "int32", ("B", "T")),
        TensorSpec("length", "int32", ("B",)),
        *(TensorSpec(name, dtype, ()) for name, dtype in scalars),
        TensorSpec("top_p", "float32", ()),
        TensorSpec("uniforms", "float32", ("B", NEW)),
    )
    outputs = (TensorSpec("token_ids", "int32", ("B", NEW)), TensorSpec("length", "int32", ("B",)))
    return Signature("generate", inputs, outputs, function)


@pytest.mark.parametrize("format", formats.NAMES)
@pytest.mark.parametrize("make", BACKBONES.values(), ids=BACKBONES)
def test_the_same_numbers_give_the_same_tokens(tmp_path, make, format):
    backbone = make()
    backbone(np.ones((1, PROMPT), "int32"))
    for weight in backbone.weights:
        weight.assign(G.normal(size=weight.shape) / 2)
    signature = generation(backbone, G.normal(size=(16, V)).astype("float32"))
    module = formats.module(format)
    module.write([signature], tmp_path, {"B": B, "T": PROMPT} if module.STATIC else {})
    operators = module.operators(tmp_path)
    assert not [name for name in operators if name.startswith(("CUSTOM", "FLEX", "VARIABLE"))]
    run = runtime.RUNTIMES[format].Runner(tmp_path, 1)
    keras_function = tf.function(signature.function)
    same = total = 0
    for trial in range(25):
        length = G.integers(1, PROMPT + 1, B).astype("int32")
        token_ids = G.integers(4, V, (B, PROMPT)).astype("int32")
        token_ids[np.arange(PROMPT) >= length[:, None]] = 0
        given = {
            "token_ids": token_ids,
            "length": length,
            "max_new_tokens": np.array(NEW - trial % 2 * 5, "int32"),
            "temperature": np.array(trial % 5 / 4, "float32"),
            "top_k": np.array(trial % 3 * 7, "int32"),
            "top_p": np.array(1 - trial % 4 / 5, "float32"),
            "uniforms": G.random((B, NEW)).astype("float32"),
        }
        expected = keras_function(**{name: tf.constant(value) for name, value in given.items()})
        found = run("generate", given)
        assert found["token_ids"].shape == (B, NEW)
        same += (found["token_ids"] == expected["token_ids"].numpy()).all(axis=1).sum()
        total += B
        if given["temperature"] == 0:
            np.testing.assert_array_equal(found["token_ids"], expected["token_ids"])
            np.testing.assert_array_equal(found["length"], expected["length"])
    # A number within rounding of a boundary of the distribution may fall on either side.
    assert same >= total - 1
