import numpy as np
import pytest
import tensorflow as tf

from export.formats import tflite
from keras_seq import layers
from keras_seq.layers.cells import RNNCell
from keras_seq.layers.lowering import Lowering, use_lowering
from keras_seq.layers.recurrence import run_loop
from keras_seq.layers.scan import scan

SCANS = {"training": scan, "tflite": tflite.scan}


def step(state, x):
    total, product = state
    return total * 0.5 + x[0], product * x[1]


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
@pytest.mark.parametrize("length", [1, 2, 7, 8])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_equals_a_plain_loop(scan, length, reverse, dynamic):
    generator = np.random.default_rng(length)
    xs = [generator.normal(size=(length, 2, 3)).astype("float32") for _ in range(2)]
    state = (np.zeros((2, 3), "float32"), np.ones((2, 3), "float32"))
    expected, last = (np.zeros_like(xs[0]), np.zeros_like(xs[1])), state
    for t in reversed(range(length)) if reverse else range(length):
        last = step(last, [x[t] for x in xs])
        expected[0][t], expected[1][t] = last
    spec = tf.TensorSpec([None if dynamic else length, 2, 3])
    for collect in (0, 1, 2):

        @tf.function(input_signature=[spec, spec])
        def run(*xs, collect=collect):
            return scan(step, state, xs, reverse=reverse, collect=collect)

        outputs, found = run(*xs)
        assert len(outputs) == collect
        for output, plain in zip(outputs, expected, strict=False):
            np.testing.assert_allclose(output, plain, atol=1e-6)
        for a, b in zip(found, last, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_lowering_holds_inside_its_block():
    calls = []

    def rule(cell, *arguments, **options):
        calls.append(type(cell))
        return run_loop(cell, *arguments, **options)

    layer = layers.RNN(2)
    x = np.ones((1, 2, 2), "float32")
    with use_lowering(Lowering(recurrence=rule)):
        layer(x)
    layer(x)
    with pytest.raises(ZeroDivisionError), use_lowering(Lowering(recurrence=rule)):
        _ = 1 / 0
    layer(x)
    assert calls == [RNNCell]


def test_the_rule_is_given_the_recurrence_and_gives_the_result():
    received = []

    def rule(cell, inputs, state, mask=None, *, reverse, sequence):
        received.append((cell, inputs, state, mask, reverse, sequence))
        hidden = tf.fill((1, 2, 2), 3.0) if sequence else None
        return hidden, (tf.fill((1, 2), 4.0),)

    x, mask = np.ones((1, 2, 5), "float32"), np.array([[True, False]])
    last, whole = layers.RNN(2, go_backwards=True), layers.RNN(2, return_sequences=True)
    with use_lowering(Lowering(recurrence=rule)):
        np.testing.assert_array_equal(last(x, mask=mask), np.full((1, 2), 4))
        np.testing.assert_array_equal(whole(x), np.full((1, 2, 2), 3))
    (cell, inputs, state, found, reverse, sequence), other = received
    assert cell.kernel is last.kernel
    assert other[0].kernel is whole.kernel
    np.testing.assert_array_equal(inputs, x)
    np.testing.assert_array_equal(found, mask)
    assert [part.shape for part in state] == [(1, 2)]
    assert (reverse, sequence) == (True, False)
    assert (other[3], other[4], other[5]) == (None, False, True)
    assert np.abs(np.asarray(whole(x))).max() <= 1  # a tanh again


def test_rules_nest_and_end_with_an_exception():
    calls = []

    def rule(name):
        def run(*arguments, **options):
            calls.append(name)
            return run_loop(*arguments, **options)

        return run

    layer, x = layers.LSTM(2), np.ones((1, 2, 2), "float32")
    with use_lowering(Lowering(recurrence=rule("outer"))):
        layer(x)
        with pytest.raises(KeyError), use_lowering(Lowering(recurrence=rule("inner"))):
            layer(x)
            raise KeyError
        layer(x)
    layer(x)
    assert calls == ["outer", "inner", "outer"]


@pytest.mark.parametrize("length", [1, 7, 8])
@pytest.mark.parametrize("reverse", [False, True])
def test_eager_and_its_gradients(length, reverse):
    """y_t = 0.5 y_{t-1} + x_t, so that x_t counts 0.5^(later steps) in the last output."""
    xs = (tf.random.stateless_normal((length, 2, 3), [0, 1]), tf.fill((length, 2, 3), 1.1))
    start = tf.fill((2, 3), 0.25)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([xs, start])
        (outputs,), (last, product) = scan(step, (start, tf.ones((2, 3))), xs, reverse=reverse)
        weighted = tf.reduce_sum(outputs * tf.reshape(tf.range(1.0, length + 1), (-1, 1, 1)))
    order = range(length)[::-1] if reverse else range(length)
    expected, plain = np.full((2, 3), 0.25), np.zeros((length, 2, 3))
    for t in order:
        expected = expected * 0.5 + xs[0][t]
        plain[t] = expected
    np.testing.assert_allclose(outputs, plain, atol=1e-5)
    np.testing.assert_allclose(last, expected, atol=1e-5)
    np.testing.assert_allclose(product, np.full((2, 3), 1.1**length), rtol=1e-5)
    powers = np.zeros(length)
    slopes = np.zeros(length)
    for turn, t in enumerate(order):
        powers[t] = 0.5 ** (length - 1 - turn)
        later = list(order)[turn:]
        slopes[t] = sum((u + 1) * 0.5 ** abs(u - t) for u in later)
    whole = np.ones((2, 3))
    found = tape.gradient(last, [xs[0], start])
    np.testing.assert_allclose(found[0], powers[:, None, None] * whole, atol=1e-6)
    np.testing.assert_allclose(found[1], 0.5**length * whole, atol=1e-6)
    found = tape.gradient(weighted, xs[0])
    np.testing.assert_allclose(found, slopes[:, None, None] * whole, atol=1e-5)
    found = tape.gradient(product, xs[1])
    np.testing.assert_allclose(found, np.full((length, 2, 3), 1.1 ** (length - 1)), rtol=1e-5)


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_one_graph_reads_every_length(scan):
    @tf.function(input_signature=[tf.TensorSpec([None, None, 3])])
    def run(x):
        state = (tf.zeros(tf.shape(x)[1:]),)
        return scan(lambda s, x: (s[0] + x[0],), state, (x,))

    for length in (1, 2, 7, 8):
        x = np.random.default_rng(length).normal(size=(length, 2, 3)).astype("float32")
        (outputs,), (last,) = run(x)
        np.testing.assert_allclose(outputs, np.cumsum(x, axis=0), atol=1e-5)
        np.testing.assert_allclose(last, x.sum(0), atol=1e-5)
    assert run.experimental_get_tracing_count() == 1
