import numpy as np
import pytest
import tensorflow as tf

from keras_seq import layers
from keras_seq.layers.recurrence import loop, lowering
from keras_seq.layers.scan import scan


def step(state, x):
    total, product = state
    return total * 0.5 + x[0], product * x[1]


@pytest.mark.parametrize("steps_per_turn", [1, 3, 4])
@pytest.mark.parametrize("length", [1, 2, 7, 8])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_equals_a_plain_loop(steps_per_turn, length, reverse, dynamic):
    generator = np.random.default_rng(length)
    xs = [generator.normal(size=(length, 2, 3)).astype("float32") for _ in range(2)]
    state = (np.zeros((2, 3), "float32"), np.ones((2, 3), "float32"))
    expected, last = np.zeros_like(xs[0]), state
    for t in reversed(range(length)) if reverse else range(length):
        last = step(last, [x[t] for x in xs])
        expected[t] = last[0]
    spec = tf.TensorSpec([None if dynamic else length, 2, 3])
    for sequence in (True, False):

        @tf.function(input_signature=[spec, spec])
        def run(*xs, sequence=sequence):
            return scan(
                step, state, xs, reverse=reverse, sequence=sequence, steps_per_turn=steps_per_turn
            )

        outputs, found = run(*xs)
        if sequence:
            np.testing.assert_allclose(outputs, expected, atol=1e-6)
        else:
            assert outputs is None
        for a, b in zip(found, last, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_lowering_holds_inside_its_block():
    calls = []

    def rule(cell, *arguments, **options):
        calls.append(type(cell))
        return loop(cell, *arguments, **options)

    layer = layers.RNN(2)
    x = np.ones((1, 2, 2), "float32")
    with lowering(rule):
        layer(x)
    layer(x)
    with pytest.raises(ZeroDivisionError), lowering(rule):
        _ = 1 / 0
    layer(x)
    assert calls == [layers.RNN]
