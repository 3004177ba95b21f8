import functools
import os
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
from keras_seq.embeddings import TokenEmbedding
from keras_seq.errors import UserError
from keras_seq.models import TextClassifier, load_model
from keras_seq.text import SentencePieceTokenizer

TEXTS = ["wonderful and warm", "dull, dull, dull", "a joy to watch", "a waste of time"] * 16
LABELS = ["good", "bad", "good", "bad"] * 16


@pytest.fixture(scope="module")
def tokenizer(reviews):
    return SentencePieceTokenizer.train(reviews.train.texts[::200], 600)


def classifier(tokenizer, backbone="lstm", **settings):
    keras.utils.set_random_seed(0)
    if backbone == "transformer":
        body = TransformerBackbone(32, num_layers=1, max_length=64)
    else:
        body = RecurrentBackbone(32, backbone, bidirectional=True)
    model = TextClassifier(body, tokenizer, ["bad", "good"], **{"max_length": 24, **settings})
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    return model


@pytest.fixture(scope="module")
def untrained(tokenizer):
    """`untrained(backbone, pooling)`: a model that no test changes."""
    return functools.cache(
        lambda backbone, pooling: classifier(tokenizer, backbone, pooling=pooling)
    )


def test_learns_where_sinusoidal_positions_are_added_to_a_new_embedding(reviews):
    keras.utils.set_random_seed(0)
    texts, labels = reviews.train.texts[::25], reviews.train.labels[::25]
    backbone = TransformerBackbone(32, 1, 4, max_length=64, positions="sinusoidal")
    model = TextClassifier(backbone, max_length=64, pooling="mean")
    model.compile(keras.optimizers.Adam(2e-3), metrics=["accuracy"])
    history = model.fit(texts, labels, epochs=3, batch_size=32, verbose=0).history
    assert history["accuracy"][-1] > 0.75  # 0.55 where the positions drown the embedding
    found = model.evaluate(reviews.held_out.texts[::5], reviews.held_out.labels[::5], verbose=0)
    assert found[1] > 0.56  # 0.49


@pytest.mark.parametrize(
    ("backbone", "pooling"),
    [
        ("lstm", "max"),
        ("transformer", "mean"),
        pytest.param("rnn", "mean", marks=pytest.mark.slow),
    ],
)
def test_learns_from_texts_and_label_names(tokenizer, backbone, pooling):
    model = classifier(tokenizer, backbone, pooling=pooling)
    model.optimizer.learning_rate = 0.01
    model.fit(TEXTS, LABELS, epochs=8, batch_size=16, verbose=0)
    assert model.evaluate(TEXTS, LABELS, verbose=0, return_dict=True)["accuracy"] == 1
    probabilities = model.predict(TEXTS[:2], verbose=0)
    assert probabilities.shape == (2, 2)
    assert probabilities.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_dataset_of_texts_gives_what_a_list_gives(tokenizer):
    import tensorflow as tf

    model = classifier(tokenizer)
    indices = [model.labels.index(label) for label in LABELS]
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, indices)).batch(16)
    assert model.evaluate(dataset, verbose=0) == model.evaluate(TEXTS, LABELS, verbose=0)
    before = model.predict(TEXTS, verbose=0)
    np.testing.assert_array_equal(model.predict(dataset.map(lambda x, _: x), verbose=0), before)
    model.fit(dataset, epochs=1, verbose=0, validation_data=dataset)
    assert (model.predict(TEXTS, verbose=0) != before).any()
    with pytest.raises(UserError, match="batch"):
        model.predict(dataset.unbatch().map(lambda x, _: x))


@pytest.mark.parametrize("backbone", ["rnn", "lstm", "transformer"])
@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_padding_changes_nothing(untrained, backbone, pooling):
    model = untrained(backbone, pooling)
    token_ids = np.random.default_rng(0).integers(1, 600, (3, 9)).astype("int32")
    padded = np.pad(token_ids, ((0, 0), (0, 15)))
    np.testing.assert_allclose(model(token_ids), model(padded), atol=1e-6)


@pytest.mark.parametrize("pooling", ["max", "mean"])
@pytest.mark.parametrize(
    "text",
    ["", " ", "\0", "a\0b", "x" * 1_000_000, "👩‍👩‍👧 😀", "مرحبا بالعالم", "\ud800", "好看", "\r\n\t"],
    ids=["empty", "space", "NUL", "NUL inside", "1 MB", "emoji", "right to left", "surrogate",
         "Chinese", "control"],
)  # fmt: skip
def test_any_text_has_probabilities(untrained, pooling, text):
    for backbone in ("lstm", "transformer"):
        row = untrained(backbone, pooling).predict([text], verbose=0)
        assert np.isfinite(row).all()
        np.testing.assert_allclose(row.sum(), 1, atol=1e-6)


def test_texts_in_every_form_that_users_have(tokenizer):
    model, table = classifier(tokenizer), pd.DataFrame({"text": TEXTS, "label": LABELS})
    expected = model.predict(TEXTS, verbose=0)
    for texts in (table["text"], table["text"].to_numpy(), table["text"].astype("string"),
                  np.array(TEXTS), np.array(TEXTS)[:, None], tuple(TEXTS)):  # fmt: skip
        np.testing.assert_array_equal(model.predict(texts, verbose=0), expected)
    np.testing.assert_array_equal(model.predict(TEXTS[0], verbose=0), expected[:1])
    history = model.fit(table["text"], table["label"], validation_split=0.25, verbose=0)
    assert {"accuracy", "val_accuracy"} <= history.history.keys()
    found = model.evaluate(table["text"], table["label"].astype("category"), verbose=0)
    assert found == model.evaluate(TEXTS, LABELS, verbose=0)
    with pytest.raises(UserError, match=r"a text is a str or bytes.*item 1: nan \(float\)"):
        model.predict(pd.Series(["good", None, "bad"]).astype(object).where(lambda x: x.notna()))


def test_unseen_label_is_named(untrained):
    with pytest.raises(UserError, match=r"'mixed'.*bad, good"):
        untrained("lstm", "max").fit(["a", "b"], ["good", "mixed"])


def test_bad_settings_say_what_was_received(tokenizer):
    few = TokenEmbedding(100, 8)
    with pytest.raises(ValueError, match="100"):
        TextClassifier(RecurrentBackbone(8), tokenizer, ["a", "b"], embedding=few)
    body = TransformerBackbone(8, max_length=16)
    with pytest.raises(ValueError, match=r"16.*17"):
        TextClassifier(body, tokenizer, ["a", "b"], max_length=17)
    with pytest.raises(UserError, match="'a'"):
        TextClassifier(body, tokenizer, ["a", "a"], max_length=16)
    with pytest.raises(ValueError, match="'last'"):
        TextClassifier(body, tokenizer, ["a", "b"], max_length=16, pooling="last")


def test_an_index_that_no_label_has(untrained):
    model = untrained("lstm", "max")
    for wrong in ([0, 2, 1, 0], [-1, 0, 1, 0]):
        with pytest.raises(UserError, match=r"2 labels.*from 0 to 1.*Received: -?\d to \d"):
            model.fit(TEXTS[:4], wrong)


def test_bytes_are_texts(untrained):
    model = untrained("lstm", "max")
    expected = model.predict(TEXTS[:2], verbose=0)
    found = model.predict([text.encode() for text in TEXTS[:2]], verbose=0)
    np.testing.assert_array_equal(found, expected)
    assert model.predict([], verbose=0).shape == (0, 2)


@pytest.fixture(scope="module")
def saved(tokenizer, tmp_path_factory):
    """A folder with a trained model, and what it answers."""
    folder = tmp_path_factory.mktemp("saved")
    model = classifier(tokenizer)
    model.fit(TEXTS, LABELS, verbose=0, validation_data=(TEXTS, LABELS))
    model.save(folder / "model.keras")
    np.save(folder / "expected.npy", model.predict(TEXTS[:4], verbose=0))
    return folder


@pytest.mark.slow
def test_one_file_holds_everything(saved):
    """Loaded in a process of its own, by Keras and by us, the model answers the same from text."""
    program = f"""
import keras, keras_seq
import numpy as np
keras_seq.models.TextClassifier
for load in (keras.saving.load_model, keras_seq.models.load_model):
    model = load("model.keras")
    assert model.labels == ["bad", "good"], model.labels
    np.testing.assert_array_equal(model.predict({TEXTS[:4]!r}, verbose=0), np.load("expected.npy"))
"""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=saved,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.slow
def test_a_loaded_model_learns_on(saved):
    model = keras.saving.load_model(saved / "model.keras")
    before = model.optimizer.iterations.numpy()
    assert before > 0
    model.fit(TEXTS, LABELS, verbose=0)
    assert model.optimizer.iterations.numpy() == 2 * before


def test_load_model_refuses_what_is_cut_short(untrained, tmp_path):
    path = tmp_path / "model.keras"
    untrained("lstm", "max").save(path)
    content = path.read_bytes()
    for length in (0, 100, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=r"model\.keras (is empty|was cut short).*opy it again"):
            load_model(path)
    with pytest.raises(UserError, match="does not exist"):
        load_model(tmp_path / "none.keras")
