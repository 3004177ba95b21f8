"""Lookups of integers and whole texts in every output mode, each against the layer itself."""

import keras
import numpy as np
import pytest
from keras import layers

import export
from export import formats
from keras_seq.errors import UserError
from tests.export.helpers import assert_exports, assert_refused

MODES = ("int", "one_hot", "multi_hot", "count")
CODES = np.array([[7, 0, 8, 40], [40, 40, -1, 7]])
WORDS = ["a film", "good", "bad"]


def test_integers(tmp_path):
    codes = keras.Input((4,), dtype="int64", name="codes")
    outputs = {}
    for mode in MODES:
        for unknown in (1, 3):
            layer = layers.IntegerLookup(
                vocabulary=[7, 40, 2**40], output_mode=mode, num_oov_indices=unknown
            )
            outputs[f"{mode}_{unknown}"] = layers.Rescaling(1.0)(layer(codes))
    for mask, mode in ((0, "int"), (7, "count")):
        vocabulary = [40, 2**40] if mask == 7 else [7, 40]
        layer = layers.IntegerLookup(vocabulary=vocabulary, mask_token=mask, output_mode=mode)
        outputs[f"mask_{mode}"] = layers.Rescaling(1.0)(layer(codes))
    ids = keras.Input((2,), dtype="int64", name="ids")
    back = layers.IntegerLookup(vocabulary=[7, 40], invert=True)
    outputs["back"] = layers.Rescaling(1.0)(back(ids))
    model = keras.Model([codes, ids], outputs)
    inputs = {"codes": CODES, "ids": np.array([[0, 1], [2, 1]])}
    assert_exports(model, tmp_path / "b", inputs)


def test_words(tmp_path):
    text = keras.Input((1,), dtype="string", name="text")
    made, outputs = {}, {}
    for mode in ("int", "count"):
        options = {"mask_token": "bad", "vocabulary": WORDS[:2]} if mode == "count" else {}
        made[mode] = layers.StringLookup(**{"vocabulary": WORDS, **options}, output_mode=mode)
        outputs[mode] = layers.Rescaling(1.0, name=mode)(made[mode](text))
    export.export(keras.Model(text, outputs), tmp_path / "b", max_bytes=16)
    texts = ["good", "a film", "", "no", "bad"]
    for format in formats.NAMES:
        found = export.load(tmp_path / "b", format).predict(text=texts)
        for mode, layer in made.items():
            np.testing.assert_allclose(found[mode], layer(np.array(texts)[:, None]), err_msg=mode)


def test_an_unknown_value_that_is_an_error(tmp_path):
    """Keras raises an error; in a file it is none of the classes, and no row of an embedding."""
    codes = keras.Input((4,), dtype="int64", name="codes")
    text = keras.Input((1,), dtype="string", name="text")
    numbers = layers.IntegerLookup(vocabulary=[7, 40], num_oov_indices=0, output_mode="multi_hot")
    words = layers.StringLookup(vocabulary=WORDS, num_oov_indices=0, output_mode="one_hot")
    model = keras.Model([codes, text], {"numbers": numbers(codes), "words": words(text)})
    export.export(model, tmp_path / "b", ["tflite", "onnx"], max_bytes=16)
    for format in ("tflite", "onnx"):
        found = export.load(tmp_path / "b", format).predict(codes=CODES, text=["good", "no"])
        np.testing.assert_array_equal(found["numbers"], [[1, 1], [1, 1]])
        np.testing.assert_array_equal(found["words"], [[0, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (
            lambda: layers.StringLookup(vocabulary=WORDS, num_oov_indices=2, name="genre"),
            "^The layer 'genre' .StringLookup. cannot be exported: .*num_oov_indices=1",
        ),
        (
            lambda: layers.Hashing(num_bins=5, name="bucket"),
            "^The layer 'bucket' .Hashing. cannot be exported to .* operator for strings",
        ),
    ],
)
def test_a_hash_of_strings_is_refused(tmp_path, layer, words):
    text = keras.Input((1,), dtype="string", name="text")
    model = keras.Model(text, layers.Embedding(9, 2)(layer()(text)))
    assert_refused(model, tmp_path, words, ["tflite", "onnx"], max_bytes=16)


@pytest.mark.slow
def test_a_large_vocabulary(tmp_path):
    """60,000 words take seconds more than 100: the trie is built once, in near-linear time."""
    import time

    def measure(count):
        text = keras.Input((1,), dtype="string", name="text")
        words = [f"word {7919 * i % count:x}" for i in range(count)]
        layer = layers.StringLookup(vocabulary=words)
        start = time.process_time()
        export.export(
            keras.Model(text, layers.Embedding(count + 1, 2)(layer(text))),
            tmp_path / str(count), max_bytes=32,
        )  # fmt: skip
        return time.process_time() - start

    few = measure(100)
    assert measure(60_000) - few < 20


def test_several_words_a_row_are_refused(tmp_path):
    text = keras.Input((3,), dtype="string", name="text")
    model = keras.Model(text, layers.Rescaling(1.0)(layers.StringLookup(vocabulary=WORDS)(text)))
    with pytest.raises(UserError, match="only one text a row"):
        export.export(model, tmp_path / "b")
