"""Loops and branches of `keras.ops`, each against plain Keras."""

import keras
import numpy as np
from keras import ops

from benchmarks.coverage_ops import Apply
from tests.export.helpers import assert_exports, assert_refused

X = np.random.default_rng(0).normal(size=(3, 7, 4)).astype("float32")


def swap(x):
    return ops.transpose(x, (1, 0, 2))


def scan(reverse):
    def call(x):
        carry, steps = ops.scan(
            lambda c, a: (ops.tanh(c * 0.5 + a), c * 2), x[:, 0] * 0, swap(x), reverse=reverse
        )
        return [carry, swap(steps)]

    return call


def viterbi(x):
    """Two carried tensors and a dictionary of steps, as a tagger has them."""
    (score, best), (scores, _) = ops.scan(
        lambda c, a: (
            (ops.logsumexp(c[0][:, :, None] + a["p"][:, None], axis=1), c[1] + a["q"]),
            c,
        ),
        (x[:, 0], x[:, 1]),
        {"p": swap(x), "q": swap(x) * 0.1},
    )
    return [score, best, swap(scores)]


FUNCTIONS = {
    "forwards": scan(False),
    "backwards": scan(True),
    "viterbi": viterbi,
    "counted": lambda x: ops.scan(lambda c, _: (c * 0.5, c), x[:, 0], None, length=3)[0],
    "associative": lambda x: ops.associative_scan(
        lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1]), (ops.tanh(x), x), axis=1
    ),
    "associative_reverse": lambda x: ops.associative_scan(ops.add, x, reverse=True, axis=1),
    "map": lambda x: [swap(y) for y in ops.map(lambda a: (a * 2, ops.exp(a)), swap(x))],
    "switch": lambda x: ops.switch(
        ops.cast(ops.shape(x)[1] - 6, "int32"), [lambda: x, lambda: x * 2, lambda: x * 3]
    ),
    "cond": lambda x: ops.cond(ops.shape(x)[1] > 3, lambda: x + 1, lambda: x - 1),
    "while": lambda x: ops.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * a), (0, x))[1],
    "for": lambda x: ops.fori_loop(0, 3, lambda i, a: a * 0.5 + 1, x),
}


def test_loops_and_branches(tmp_path):
    x = keras.Input((7, 4), name="x")
    model = keras.Model(x, [Apply(f, name)(x) for name, f in FUNCTIONS.items()])
    assert_exports(model, tmp_path / "b", {"x": X})


def write_array(place):
    """A loop with a TensorArray of the user, which writes turn i at `place(i)`."""
    import tensorflow as tf

    def call(x):
        array = tf.TensorArray(tf.float32, 7)
        _, array = tf.while_loop(
            lambda i, _: i < 7, lambda i, a: (i + 1, a.write(place(i), x[:, i] * 2.0)), (0, array)
        )
        return swap(array.stack())

    return Apply(call)


def test_a_tensor_array_of_the_user(tmp_path):
    x = keras.Input((7, 4), name="x")
    assert_exports(keras.Model(x, write_array(lambda i: i)(x)), tmp_path / "b", {"x": X})


def test_a_tensor_array_that_is_written_backwards(tmp_path):
    x = keras.Input((7, 4), name="x")
    model = keras.Model(x, write_array(lambda i: 6 - i)(x))
    assert_exports(model, tmp_path / "b", {"x": X}, formats=["tflite"])
    assert_refused(model, tmp_path, "'mine' .Apply.*TensorArray in another order", ["onnx"])
