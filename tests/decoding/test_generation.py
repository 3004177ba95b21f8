"""Generation against a loop in Python over the same step."""

import numpy as np
import pytest
import tensorflow as tf

from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
from keras_seq.decoding import Stopping, generate, next_token
from tests.token_models import TokenBackbone

V, LENGTH, END = 20, 16, 3
G = np.random.default_rng(3)
HEAD = G.normal(size=(8, V)).astype("float32") * 3
HEAD[:, 0] = -100  # padding is never produced
BACKBONES = {
    "rnn": lambda: TokenBackbone(RecurrentBackbone(8, "rnn"), V),
    "lstm": lambda: TokenBackbone(RecurrentBackbone(8, "lstm", num_layers=2), V),
    "transformer": lambda: TokenBackbone(
        TransformerBackbone(8, 2, 2, max_length=LENGTH, causal=True), V
    ),
}
PROMPTS = np.array([[4, 5, 6], [7, 8, 0], [9, 0, 0]], "int32")
LENGTHS = np.array([3, 2, 1], "int32")


def of(backbone):
    def logits(hidden):
        scores = tf.matmul(hidden, HEAD)
        return tf.where(tf.range(V) == 0, -1e9, scores)

    def step(token, state):
        hidden, state = backbone.step(token, state)
        return logits(hidden), state

    hidden, state = backbone.prefill(PROMPTS, LENGTHS, LENGTH)
    return step, logits(hidden), state


@pytest.mark.parametrize("make", BACKBONES.values(), ids=BACKBONES)
@pytest.mark.parametrize("temperature", [0.0, 1.2])
@pytest.mark.parametrize("most", [10, 4])
def test_equals_a_loop_in_python(make, temperature, most):
    backbone = make()
    backbone(PROMPTS)
    uniforms = G.random((3, 10)).astype("float32")
    settings = np.float32(temperature), np.int32(8), np.float32(0.95)

    @tf.function
    def run(uniforms):
        return generate(*of(backbone), uniforms, np.int32(most), *settings, END)

    ids, length = (x.numpy() for x in run(uniforms))
    assert ids.shape == (3, 10)
    step, logits, state = of(backbone)
    rows, ended = [[], [], []], [False] * 3
    for i in range(most):
        token = next_token(logits, uniforms[:, i], *settings).numpy()
        for row in range(3):
            ended[row] |= token[row] == END
            if not ended[row]:
                rows[row].append(int(token[row]))
        logits, state = step(np.where(ended, 0, token).astype("int32"), state)
    assert length.tolist() == [len(row) for row in rows]
    assert [row[:n].tolist() for row, n in zip(ids, length, strict=True)] == rows
    assert not ids[np.arange(10) >= length[:, None]].any()


def test_it_ends_where_every_row_has_ended():
    """A step that counts: the loop must not walk on to N."""
    uniforms = np.zeros((2, 50), "float32")
    counts = []

    def step(token, state):
        counts.append(1)
        logits = tf.one_hot(tf.where(state["n"] == 4, END, 5), V)
        return logits, {"n": state["n"] + 1}

    first = tf.one_hot([5, 5], V)
    numbers = np.float32(0), np.int32(0), np.float32(1)
    ids, length = generate(
        step, first, {"n": tf.constant([0, 2])}, uniforms, np.int32(50), *numbers, END
    )
    assert length.numpy().tolist() == [5, 3]
    assert ids.numpy()[:, :6].tolist() == [[5, 5, 5, 5, 5, 0], [5, 5, 5, 0, 0, 0]]
    assert len(counts) == 5  # what the end is followed by does not matter


@pytest.mark.parametrize("is_active", [False, True])
def test_a_row_that_is_to_stop_ends_soon(is_active):
    """It is checked each eighth token, on the last ones; the others do not change."""
    logits = tf.one_hot([5, 6, 7], V)
    uniforms = np.zeros((3, 30), "float32")

    def step(token, state):
        return tf.one_hot((token - 4) % 4 + 5, V), state

    numbers = (np.int32(30), np.float32(0), np.int32(0), np.float32(1), END)
    whole, _ = generate(step, logits, {}, uniforms, *numbers)
    widths = []

    def is_stopped(ids):
        widths.append(ids.shape[1])
        return np.array([False, True, False])

    stopping = Stopping(np.bool_(is_active), 3, is_stopped)
    ids, length = generate(step, logits, {}, uniforms, *numbers, stopping=stopping)
    assert length.numpy().tolist() == ([30, 8, 30] if is_active else [30] * 3)
    np.testing.assert_array_equal(ids, np.where(np.arange(30) < length.numpy()[:, None], whole, 0))
    assert set(widths) == ({11} if is_active else set())
