"""Layers that read strings, as programs on bytes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import export
from export import formats
from keras_seq.errors import UserError

TEXTS = [
    "The film was good",
    "  the,film!  was--BAD\tgood\n",
    "",
    "好看 the ÜBER über",
    "it's a 'film'",
    "x" * 60,
    "film",
    " ",
    ",,,",
]
VOCABULARY = ["the", "film", "was", "good", "bad", "its", "a", "über", "好", "x", "好看"]


VECTORIZATIONS = {
    "words": {"output_sequence_length": 6},
    "as_they_are": {"output_sequence_length": 3, "standardize": None},
    "lower": {"output_sequence_length": 70, "standardize": "lower"},
    "characters": {"output_sequence_length": 8, "split": "character"},
    "whole": {"output_sequence_length": 2, "split": None, "standardize": "strip_punctuation"},
    "multi_hot": {"output_mode": "multi_hot"},
    "count": {"output_mode": "count"},
    "tf_idf": {"output_mode": "tf_idf", "idf_weights": np.linspace(0.1, 2, len(VOCABULARY))},
}


@pytest.fixture(scope="module")
def vectorized(tmp_path_factory):
    """A bundle of a model with one text and an output for each vectorization, and the layers."""
    text = keras.Input((1,), dtype="string", name="review")
    made, outputs = {}, {}
    for name, options in VECTORIZATIONS.items():
        made[name] = layers.TextVectorization(**options, vocabulary=VOCABULARY)
        outputs[name] = layers.Rescaling(1.0, name=name)(made[name](text))
    folder = tmp_path_factory.mktemp("vectorized") / "b"
    export.export(keras.Model(text, outputs), folder, texts=TEXTS, max_bytes=128)
    return folder, made


@pytest.mark.slow
@pytest.mark.parametrize("format", formats.NAMES)
def test_text_vectorization_on_bytes(vectorized, format):
    """The layer itself, on strings in TensorFlow, is the reference."""
    folder, made = vectorized
    found = export.load(folder, format).predict(review=TEXTS)
    for name, layer in made.items():
        expected = np.asarray(layer(np.array(TEXTS)[:, None]))
        np.testing.assert_allclose(found[name], expected, atol=1e-6, err_msg=name)
        assert len(np.unique(expected)) > 1


def test_a_text_without_an_axis_of_its_own(tmp_path):
    text = keras.Input((), dtype="string", name="review")
    layer = layers.TextVectorization(output_sequence_length=6, vocabulary=VOCABULARY)
    model = keras.Model(text, layers.Rescaling(1.0, name="ids")(layer(text)))
    export.export(model, tmp_path / "b", ["onnx"], texts=TEXTS, max_bytes=128)
    found = export.load(tmp_path / "b").predict(review=TEXTS)["ids"]
    np.testing.assert_allclose(found, np.asarray(layer(np.array(TEXTS))), atol=1e-6)


def test_two_texts_are_each_as_long_as_they_are(tmp_path):
    title = keras.Input((1,), dtype="string", name="title")
    body = keras.Input((1,), dtype="string", name="body")
    layer = layers.TextVectorization(output_sequence_length=4, vocabulary=VOCABULARY)
    words = layers.StringLookup(vocabulary=VOCABULARY, output_mode="one_hot")
    outputs = {
        "title": layers.Rescaling(1.0)(layer(title)),
        "word": words(body),
    }
    export.export(keras.Model([title, body], outputs), tmp_path / "b", max_bytes=64)
    titles, bodies = ["the film", "x"], ["good", "  the film was good, was it?"]
    for format in formats.NAMES:
        loaded = export.load(tmp_path / "b", format)
        found = loaded.predict(title=titles, body=bodies)
        np.testing.assert_array_equal(found["title_1"], layer(np.array(titles)))
        np.testing.assert_array_equal(found["word"], words(np.array(bodies)))
    with pytest.warns(UserWarning, match="too long"):
        loaded.predict(title=["x" * 70], body=["good"])


def test_a_text_beside_an_input_of_the_name_of_its_length(tmp_path):
    title = keras.Input((1,), dtype="string", name="title")
    length = keras.Input((2,), name="title_length")
    layer = layers.TextVectorization(output_sequence_length=4, vocabulary=VOCABULARY)
    joined = layers.Concatenate()([layers.Rescaling(1.0)(layer(title)), length])
    export.export(keras.Model([title, length], joined), tmp_path / "b", max_bytes=32)
    for format in formats.NAMES:
        found = export.load(tmp_path / "b", format).predict(
            title_text=["the film"], title_length=np.array([[3.0, 4.0]])
        )
        np.testing.assert_array_equal(found["concatenate"], [[2, 3, 0, 0, 3, 4]])


def test_strings_are_no_output(tmp_path):
    words = layers.StringLookup(vocabulary=["a", "b"], invert=True, name="words")
    model = keras.Sequential([keras.Input((1,), dtype="int64"), words])
    with pytest.raises(UserError, match="words.*strings"):
        export.export(model, tmp_path / "b")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "output_sequence_length"),
        ({"ngrams": 2, "output_sequence_length": 3}, "n-grams"),
        ({"split": tf.strings.split, "output_sequence_length": 3}, "Python function"),
    ],
)
def test_text_vectorization_that_no_graph_can_do(tmp_path, options, word):
    inputs = keras.Input((), dtype="string")
    ids = layers.TextVectorization(**options, vocabulary=VOCABULARY, name="words")(inputs)
    model = keras.Model(inputs, layers.Rescaling(1.0)(ids))
    with pytest.raises(UserError, match=f"'words'.*{word}"):
        export.export(model, tmp_path / "b", ["tflite"], max_bytes=64)
    assert not list(tmp_path.iterdir())
