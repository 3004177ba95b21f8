"""The gradient written by hand against automatic differentiation of the plain loop."""

import numpy as np
import pytest
import tensorflow as tf

from keras_seq import layers

G = np.random.default_rng(8)
B, T, D, U = 3, 5, 4, 6
X = G.normal(size=(B, T, D)).astype("float32")
MASKS = {"unmasked": None, "masked": G.random((B, T)) > 0.4}
WEIGHTS = {True: G.normal(size=(B, T, U)), False: G.normal(size=(B, U))}

kinds = pytest.mark.parametrize("kind", [layers.RNN, layers.LSTM])


def gradients(layer, training, mask, compiled=False, state=None):
    """Outputs and the gradients of a weighted sum of all of them, by input, state and weights."""
    weights = WEIGHTS[layer.return_sequences].astype("float32")

    @tf.function(jit_compile=compiled)
    def run(x, state):
        with tf.GradientTape() as tape:
            tape.watch([x, state])
            output, *last = layer(x, initial_state=state, mask=mask, training=training)
            total = tf.reduce_sum(output * weights[: x.shape[0]])
            for i, part in enumerate(last):
                total += (i + 2) * tf.reduce_sum(part**2)
        return [output, *last], tape.gradient(total, [x, state, layer.trainable_variables])

    return tf.nest.flatten(run(tf.constant(X), state))


def drawn(kind, **options):
    layer = kind(U, return_state=True, **options)
    layer(X)
    layer.set_weights([G.normal(size=w.shape) / 2 for w in layer.get_weights()])
    state = [tf.constant(G.normal(size=(B, U)), "float32") for _ in layer.state_names]
    return layer, state


@kinds
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("go_backwards", [True, False])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("compiled", [True, False])
def test_equals_automatic_differentiation(kind, return_sequences, go_backwards, mask, compiled):
    layer, state = drawn(kind, return_sequences=return_sequences, go_backwards=go_backwards)
    expected = gradients(layer, False, mask, state=state)
    found = gradients(layer, True, mask, compiled, state)
    assert len(found) == len(expected) == 2 + 2 * len(state) + 3
    for ours, plain in zip(found, expected, strict=True):
        assert np.abs(plain).max() > 0.01
        np.testing.assert_allclose(ours, plain, atol=1e-5, rtol=1e-4)


@kinds
def test_without_a_bias(kind):
    layer, state = drawn(kind, use_bias=False)
    expected = gradients(layer, False, None, state=state)
    for ours, plain in zip(gradients(layer, True, None, state=state), expected, strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-5)


@kinds
def test_recurrent_dropout_by_differences(kind):
    """Under dropout there is no plain loop to compare with: finite differences are."""
    layer, state = drawn(kind, recurrent_dropout=0.5, seed=4)
    weights = [np.asarray(w) for w in layer.get_weights()]

    def outputs():
        layer.seed_generator.state.assign([4, 0])
        return gradients(layer, True, MASKS["masked"], state=state)

    def total():
        output, *last = outputs()[: 1 + len(state)]
        parts = [np.sum(np.asarray(part, "float64") ** 2) for part in last]
        weighted = np.sum(np.asarray(output) * WEIGHTS[False])
        return weighted + sum((i + 2) * part for i, part in enumerate(parts))

    slopes = outputs()[1 + 2 * len(state) + 1 :]
    assert (np.asarray(outputs()[0]) != np.asarray(layer(X, initial_state=state)[0])).any()
    for i, slope in enumerate(slopes):
        direction = G.normal(size=weights[i].shape)
        ends = []
        for sign in (1, -1):
            moved = [w + sign * 1e-3 * direction if j == i else w for j, w in enumerate(weights)]
            layer.set_weights(moved)
            ends.append(total())
        layer.set_weights(weights)
        expected = (ends[0] - ends[1]) / 2e-3
        np.testing.assert_allclose(np.sum(slope * direction), expected, rtol=2e-3, atol=2e-3)


def test_half_precision_computes_in_half_and_accumulates_in_full():
    layer = layers.LSTM(U, return_sequences=True, dtype="mixed_bfloat16")
    layer(X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.cast(layer(X, training=True), "float32") ** 2)
    full = layers.LSTM(U, return_sequences=True)
    full(X)
    full.set_weights(layer.get_weights())
    with tf.GradientTape() as whole:
        other = tf.reduce_mean(full(X, training=True) ** 2)
    assert layer(X).dtype == "bfloat16"
    pairs = zip(
        tape.gradient(loss, layer.trainable_variables),
        whole.gradient(other, full.trainable_variables),
        strict=True,
    )
    for half, exact in pairs:
        assert half.dtype == "float32"
        np.testing.assert_allclose(half, exact, atol=0.02 * np.abs(exact).max())
