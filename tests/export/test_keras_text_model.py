"""A stranger's model over one of our tokenizers, as one that reads text."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import export
from export import formats
from keras_seq.errors import UserError
from keras_seq.text import ByteTokenizer, SentencePieceTokenizer

TEXTS = ["A fine film.", "", "Über 好看! " * 40, "dull"]


@pytest.fixture(scope="module")
def tokenizer(reviews):
    return SentencePieceTokenizer.train(reviews.train.texts[::200], 500)


def reader(tokenizer, length, dtype, mask_zero=False):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((length,), dtype=dtype, name="ids")
    x = layers.Embedding(tokenizer.vocabulary_size, 6, mask_zero=mask_zero)(inputs)
    x = layers.LSTM(5, return_sequences=True, name="states")(x)
    return keras.Model(inputs, {"last": layers.Dense(3)(x[:, -1]), "all": x})


def pad(tokenizer, texts, length):
    rows = [ids[:length] for ids in tokenizer.encode(texts)]
    return np.array([ids + [0] * (length - len(ids)) for ids in rows])


@pytest.mark.parametrize(
    ("length", "dtype", "options"),
    [
        (24, "float32", {}),
        pytest.param(None, "int32", {"max_length": 30}, marks=pytest.mark.slow),
    ],
)
def test_text_goes_in_where_ids_did(tmp_path, tokenizer, length, dtype, options):
    model = reader(tokenizer, length, dtype, mask_zero=length is None)
    export.export(model, tmp_path / "b", tokenizer=tokenizer, **options)
    longest = length or 30
    expected = model(pad(tokenizer, TEXTS, longest))
    for format in formats.NAMES:
        bundle = export.load(tmp_path / "b", format)
        with pytest.warns(UserWarning, match="bytes"):
            found = bundle.predict_text(TEXTS)
        assert (found["unread"] > 0).tolist() == [False, False, True, False]
        np.testing.assert_allclose(found["last"], expected["last"], atol=1e-5)
        np.testing.assert_allclose(found["all"], expected["all"], atol=1e-5)
        found = bundle.predict(ids=pad(tokenizer, TEXTS, longest))
        np.testing.assert_allclose(found["last"], expected["last"], atol=1e-5)
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["entry"]["signature"] == "predict_text"
    assert (tmp_path / "b" / manifest["tokenizer"]).is_file()


def test_compared_on_texts_and_on_ids(tmp_path, tokenizer):
    model = reader(tokenizer, 12, "int32")
    options = {"tokenizer": tokenizer, "formats": "onnx"}
    report = export.export(model, tmp_path / "a", texts=TEXTS[:1], **options)
    assert report["parity"]["inputs"].startswith("1 ")
    report = export.export(model, tmp_path / "b", sample=pad(tokenizer, TEXTS, 12), **options)
    assert report["parity"]["inputs"] == "a sample of 4 inputs"


def test_random_ids_are_of_the_vocabulary_whatever_dtype_the_input_has(tokenizer):
    from export.keras_text_model import KerasTextModel

    model = KerasTextModel(reader(tokenizer, 24, "float32"), tokenizer)
    ids = model.random_inputs(16, 0, {"B": 1, "L": 100})["predict"]["ids"]
    assert ids.dtype == np.float32
    assert set(np.unique(ids)) <= set(range(tokenizer.vocabulary_size))
    assert len(np.unique(ids)) > 100


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: (reader(ByteTokenizer(), 8, "int32"), t), "500 ids.*260.*input_dim"),
        (lambda t: (reader(t, None, "int32"), t), "mask_zero=True"),
        (lambda t: (reader(t, 8, "int32"), "tokenizer.json"), "ByteTokenizer.*Received: str"),
        (
            lambda t: (keras.Sequential([keras.Input((4, 3)), layers.LSTM(2)]), t),
            r"token ids.*\[B, 4, 3\]",
        ),
    ],
)
def test_what_cannot_read_text_is_refused(tmp_path, tokenizer, make, message):
    model, given = make(tokenizer)
    with pytest.raises(UserError, match=message):
        export.export(model, tmp_path / "b", tokenizer=given)
    assert not list(tmp_path.iterdir())
