import numpy as np
import tensorflow as tf

from keras_seq.decoding import (
    mark_previous_tokens,
    next_token,
    sampling_margins,
    with_repetition_penalty,
)
from keras_seq.uniforms import random_uniforms


def test_numbers_of_a_row_depend_on_seed_and_row_alone():
    numbers = random_uniforms(3, 5, 1)
    np.testing.assert_array_equal(random_uniforms(2, 9, 1)[:, :5], numbers[:2])
    assert len(np.unique(numbers)) == 15
    assert (random_uniforms(2, 5, None) != random_uniforms(2, 5, None)).any()
    assert numbers.dtype == "float32"
    assert random_uniforms(4, 50_000, 0).max() < 1


def test_what_was_seen_is_less_likely():
    def step(token, state):
        return tf.constant([[2.0, -1.0, 0.5, 3.0]]), state

    seen = mark_previous_tokens(np.array([[3]], "int32"), 4)
    logits, state = with_repetition_penalty(step, np.float32(2))(
        np.array([1], "int32"), {"previous_tokens": seen}
    )
    np.testing.assert_array_equal(logits, [[2.0, -2.0, 0.5, 1.5]])
    np.testing.assert_array_equal(state["previous_tokens"], [[0, 1, 0, 1]])


def test_padding_is_no_token():
    seen = mark_previous_tokens(np.array([[2, 2, 0], [0, 0, 0]], "int32"), 3)
    np.testing.assert_array_equal(seen, [[0, 0, 1], [0, 0, 0]])


def test_within_the_margin_the_token_stays():
    """Numbers moved by less than the margin give the same token; the margin is not too small."""
    generator = np.random.default_rng(2)
    logits = generator.normal(size=(400, 30)).astype("float32") * 2
    uniforms = generator.random(400).astype("float32")
    for top_k, top_p in ((0, 1.0), (5, 1.0), (0, 0.8)):
        numbers = np.float32(0.9), np.int32(top_k), np.float32(top_p)
        found = sampling_margins(logits, uniforms, 0.9, top_k, top_p)
        tokens = next_token(logits, uniforms, *numbers).numpy()
        for sign in (-1, 1):
            moved = np.clip(uniforms + sign * found * 0.99, 0, 1 - 1e-7).astype("float32")
            sure = found > 1e-5
            same = next_token(logits, moved, *numbers).numpy() == tokens
            assert same[sure].all()
        if top_k == 0 and top_p == 1:
            moved = uniforms[:, None] + np.array([-1.01, 1.01]) * found[:, None] + [-1e-5, 1e-5]
            others = [
                next_token(logits, np.clip(m, 0, 1 - 1e-7).astype("float32"), *numbers).numpy()
                for m in moved.T
            ]
            assert ((others[0] != tokens) | (others[1] != tokens)).mean() > 0.95
