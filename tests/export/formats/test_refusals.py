"""What no file can hold is refused in a sentence that names the layer, by every format alike."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from benchmarks.coverage_ops import Apply
from export import formats
from tests.export.helpers import assert_exports, assert_refused

BOTH = ("tflite", "onnx")


class Counter(layers.Layer):
    def build(self, shape):
        self.count = self.add_weight(shape=(), trainable=False)

    def call(self, x):
        self.count.assign(self.count + 1.0)
        return x + self.count


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: ops.svd(x)[1], r"factorising or inverting a matrix \(Svd\). Do that"),
        (
            lambda x: ops.cholesky(ops.matmul(x, ops.transpose(x, (0, 2, 1))) + ops.eye(3)),
            "Cholesky",
        ),
        (lambda x: ops.nextafter(x, x), "NextAfter. Build it from other layers"),
        (lambda x: tf.math.real(tf.complex(x, x)), "complex numbers"),
    ],
)
def test_operators_that_a_format_lacks(tmp_path, function, words):
    x = keras.Input((3, 3))
    model = keras.Model(x, layers.Dense(2)(Apply(function, "spectrum")(x)))
    words = rf"^The layer 'spectrum' \(Apply\) cannot be exported to (TFLite|ONNX), .*{words}"
    assert_refused(model, tmp_path, words, BOTH)


def test_operators_inside_layers_and_loops(tmp_path):
    class Block(layers.Layer):
        def __init__(self):
            super().__init__(name="block")
            self.inner = Apply(lambda x: ops.nextafter(x, x), "next")

        def call(self, x):
            return ops.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, self.inner(a)), (0, x))[
                1
            ]

    x = keras.Input((3, 3))
    words = r"The layer 'next' \(Apply\) in the layer 'block' \(Block\) cannot"
    assert_refused(keras.Model(x, Block()(x)), tmp_path, words, BOTH)


def test_an_operation_of_a_functional_model(tmp_path):
    x = keras.Input((3, 3))
    model = keras.Model(x, ops.logdet(ops.matmul(x, ops.transpose(x, (0, 2, 1)))))
    assert_refused(model, tmp_path, r"The operation 'logdet\w*' \(Logdet\) cannot", BOTH)


@pytest.mark.parametrize("format", formats.NAMES)
def test_random_numbers_and_states(tmp_path, format):
    x = keras.Input((3,))
    noisy = Apply(lambda x: x + keras.random.normal((3,)), "noise")
    model = keras.Model(x, noisy(x))
    assert_refused(model, tmp_path / "1", "The layer 'noise' .Apply.*random numbers", [format])
    words = "The layer 'hits' .Counter.*changes a variable"
    assert_refused(keras.Model(x, Counter(name="hits")(x)), tmp_path / "2", words, [format])


def test_random_numbers_of_a_fixed_seed_are_constants(tmp_path):
    x = keras.Input((3,), name="x")
    fixed = Apply(lambda x: x + keras.random.normal((3,), seed=5), "features")
    assert_exports(keras.Model(x, fixed(x)), tmp_path / "b", {"x": np.ones((2, 3), "float32")})


def test_a_layer_that_no_graph_holds(tmp_path):
    """Keras's own error, without its colours and arguments."""
    x = keras.Input((3,), name="x")
    layer = Apply(lambda x: x if bool(ops.sum(x) > 0) else -x, "branch")
    words = "^The layer 'branch' .Apply. cannot be traced as a graph"
    assert_refused(keras.Model(x, layer(x)), tmp_path, words, formats.NAMES)
