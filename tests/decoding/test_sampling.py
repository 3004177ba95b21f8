"""The choice of a token against its definition in NumPy, in double precision."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_seq.decoding import next_token


def distribution(logits, temperature, top_k, top_p):
    """The probabilities that remain, over ascending ids."""
    p = np.exp((logits - logits.max()) / temperature)
    p /= p.sum()
    ranked = np.sort(p)[::-1]
    count = len(p) if top_k == 0 else min(top_k, len(p))
    count = min(count, max(1, int(np.searchsorted(np.cumsum(ranked) - ranked, top_p, "left"))))
    p = np.where(p >= ranked[count - 1], p, 0)
    return p / p.sum()


def chosen(logits, uniforms, temperature=1.0, top_k=0, top_p=1.0):
    rows = np.repeat(np.asarray(logits, "float32")[None], len(uniforms), axis=0)
    numbers = np.asarray(uniforms, "float32"), np.float32(temperature)
    return next_token(rows, *numbers, np.int32(top_k), np.float32(top_p)).numpy()


@given(
    logits=st.lists(st.integers(-128, 128).map(lambda n: n / 16), min_size=2, max_size=40),
    temperature=st.floats(0.1, 3),
    top_k=st.integers(0, 50),
    top_p=st.floats(0.01, 1),
    seed=st.integers(0, 99),
)
def test_inverts_the_cumulative_distribution(logits, temperature, top_k, top_p, seed):
    logits = np.asarray(logits, "float32").astype("float64")
    p = distribution(logits, temperature, top_k, top_p)
    ranked = np.sort(np.exp((logits - logits.max()) / temperature))[::-1]
    sums = np.cumsum(ranked / ranked.sum()) - ranked / ranked.sum()
    if np.abs(sums - top_p).min() < 1e-5:
        return  # Single precision may keep one more or one less.
    uniforms = np.random.default_rng(seed).random(50).astype("float32")
    reached = np.cumsum(p)
    sure = np.abs(uniforms[:, None] - reached).min(axis=1) > 1e-5
    expected = np.searchsorted(reached, uniforms, "right")
    found = chosen(logits, uniforms, temperature, top_k, top_p)
    np.testing.assert_array_equal(found[sure], expected[sure])
    assert (p[found] > 0).all()


def test_no_temperature_takes_the_likeliest_whatever_is_drawn():
    assert chosen([0.1, 3.0, 2.9], [0.0, 0.5, 0.999], temperature=0).tolist() == [1, 1, 1]


def test_the_ends_of_the_interval():
    almost = np.nextafter(np.float32(1), np.float32(0))
    assert chosen([0.0, 0.0, 0.0], [0.0, almost]).tolist() == [0, 2]
    assert chosen([5.0, 0.0, 5.0, -90.0], [0.0, almost], top_k=2).tolist() == [0, 2]


def test_frequencies_are_the_probabilities():
    uniforms = np.random.default_rng(1).random(20_000)
    found = np.bincount(chosen(np.log([0.5, 0.3, 0.15, 0.05]), uniforms, top_p=0.9), minlength=4)
    np.testing.assert_allclose(found / 20_000, np.array([0.5, 0.3, 0.15, 0]) / 0.95, atol=0.015)


@pytest.mark.parametrize("compiled", [True, False])
def test_in_a_graph(compiled):
    traced = tf.function(next_token, jit_compile=compiled)
    logits = np.random.default_rng(2).normal(size=(4, 30)).astype("float32")
    uniforms = np.array([0.1, 0.4, 0.7, 0.95], "float32")
    for temperature in (0.0, 0.8):
        numbers = np.float32(temperature), np.int32(5), np.float32(0.9)
        arguments = [tf.constant(x) for x in (logits, uniforms, *numbers)]
        expected = next_token(logits, uniforms, *numbers)
        np.testing.assert_array_equal(traced(*arguments), expected)
