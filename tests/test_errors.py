"""What a user reads of an error that a library raised."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq.errors import describe, list_names, quote_error


class Shift(keras.layers.Layer):
    def call(self, x):
        return tf.roll(x, [1, 2], [1])


def test_an_error_inside_a_layer_is_quoted_without_its_surroundings():
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        Shift()(np.zeros((1, 2, 3), "float32"))
    assert "Exception encountered" in str(error.value)
    assert quote_error(error.value) == "shift and axis must have the same size"


def test_an_error_of_a_graph_is_quoted_without_places():
    @tf.function
    def divide(x):
        return x // 0

    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        divide(tf.constant(1))
    assert "Detected at node" in str(error.value)
    assert quote_error(error.value) == "Integer division by zero"


def test_a_long_error_is_cut():
    assert quote_error(ValueError("a" * 500), 10) == "aaaaaaaaa…"


def nest(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


class Mute:
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (nest(100_000), "a list of 1, the first one a list of 1, the first one a list of 1, "),
        (10**5000, "a int"),
        ("x" * 10**7, "'" + "x" * 39 + "… (str)"),
        (b"\0" * 10**7, "b'" + "\\x00" * 9 + "\\x… (bytes)"),
        (Mute(), "a Mute"),
        ("\x1b[31m\ud800", "'\\x1b[31m\\ud800' (str)"),
        ([{}], "a list of 1, the first one an empty dict"),
    ],
    ids=["deep", "digits", "text", "bytes", "mute", "controls", "list"],
)
def test_any_value_is_described_in_a_few_words(value, words):
    assert describe(value).startswith(words)
    assert len(describe(value)) < 200


def test_many_names_are_the_first_ones():
    assert list_names(["a", "b (c)"]) == "'a', 'b (c)'"
    assert list_names(map(str, range(1022))).endswith("'19' and 1,002 more")
