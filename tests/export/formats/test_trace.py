"""Signatures as graphs."""

import keras
import pytest
import tensorflow as tf

import export
from export import formats
from keras_seq.errors import UserError


class Doubled(keras.layers.Layer):
    """A layer that calls a Python function, as users write them."""

    def __init__(self, call_python, **kwargs):
        super().__init__(**kwargs)
        self.call_python = call_python

    def call(self, x):
        doubled = self.call_python(lambda value: 2 * value, [x], tf.float32)
        doubled.set_shape(x.shape)
        return doubled


@pytest.mark.parametrize("format", formats.NAMES)
@pytest.mark.parametrize("call_python", [tf.py_function, tf.numpy_function])
def test_a_python_function_of_the_user_is_refused_by_name(tmp_path, format, call_python):
    """It must not reach the handler of our own placeholder, which is a PyFunc, too."""
    inputs = keras.Input((3,), name="x")
    model = keras.Model(inputs, Doubled(call_python, name="doubled")(inputs))
    with pytest.raises(UserError, match=r"a Python function .* in the layer 'doubled' \(Doubled\)"):
        export.export(model, tmp_path / "b", [format])
    assert not list(tmp_path.iterdir())
