"""Models of all tasks as a notebook makes them: by the name of a backbone, fitted on texts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_seq
from keras_seq.backbones import RecurrentBackbone
from keras_seq.errors import UserError
from keras_seq.tasks import get_task
from keras_seq.tasks.classify.training import build_classifier
from keras_seq.tasks.language_modeling.training import build_language_model
from keras_seq.tasks.translate.training import build_translator
from keras_seq.text import ByteTokenizer

TEXTS = ["a joy to watch", "a waste of time", "warm and funny", "dull, dull, dull"] * 8
LABELS = ["good", "bad", "good", "bad"] * 8
ENGLISH = ["one dog", "two dogs", "one cat", "two cats"] * 8
GERMAN = ["ein Hund", "zwei Hunde", "eine Katze", "zwei Katzen"] * 8


@pytest.mark.parametrize("backbone", ["rnn", "lstm", "transformer"])
def test_a_backbone_by_name_is_that_of_the_command_line(backbone):
    options, tokenizer = {"hidden_dim": 16, "num_layers": 2}, ByteTokenizer()
    for task, model, build in (
        ("classify", keras_seq.TextClassifier(backbone, tokenizer, ["a", "b"], **options),
         lambda settings: build_classifier(settings, tokenizer, ("a", "b"))),
        ("generate", keras_seq.TextGenerator(backbone, tokenizer, **options),
         lambda settings: build_language_model(keras_seq.TextGenerator, settings, tokenizer)),
        ("translate", keras_seq.Translator(backbone, tokenizer, **options),
         lambda settings: build_translator(settings, tokenizer)),
    ):  # fmt: skip
        expected = build(get_task(task).settings[backbone].replace(**options))
        config, other = model.get_config(), expected.get_config()
        for left, right in ((config, other), (config["backbone"], other["backbone"])):
            left.pop("name", None), right.pop("name", None)
        config["backbone"]["config"].pop("name"), other["backbone"]["config"].pop("name")
        assert config == other


@pytest.mark.slow
def test_what_fit_learns_is_in_the_file(tmp_path):
    model = keras_seq.TextClassifier("lstm", hidden_dim=16, num_layers=1)
    with pytest.raises(UserError, match=r"no layers yet.*fit.*a tokenizer and labels"):
        model.predict("a joy")
    assert not hasattr(model, "backbone")
    history = model.fit(TEXTS, LABELS, epochs=2, verbose=0, validation_split=0.25)
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} == history.history.keys()
    assert model.labels == ["bad", "good"]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(TEXTS, verbose=0), model.predict(TEXTS, verbose=0))
    assert loaded.evaluate(TEXTS, LABELS, verbose=0) == model.evaluate(TEXTS, LABELS, verbose=0)
    loaded.fit(TEXTS, LABELS, verbose=0)  # compiled as it was


def test_no_vocabulary_is_learnt_from_what_validates():
    model = keras_seq.TextClassifier("rnn", hidden_dim=8)
    texts = [*TEXTS[:16], *["xylophone xylophone"] * 16]
    model.adapt(texts, LABELS, validation_split=0.5)
    pieces = [piece.strip(b" ") for piece in model.tokenizer.pieces()]
    assert b"watch" in pieces
    assert b"xylophone" not in pieces


@pytest.mark.slow
def test_datasets_of_strings():
    for labels in (LABELS, [LABELS.index(label) for label in LABELS]):
        data = tf.data.Dataset.from_tensor_slices((TEXTS, labels))
        model = keras_seq.TextClassifier("rnn", hidden_dim=8)
        history = model.fit(data.batch(8), validation_data=data.batch(5), verbose=0)
        assert np.isfinite(history.history["val_loss"]).all()
        assert model.labels == sorted({str(label) for label in labels})
    generator = keras_seq.TextGenerator("rnn", hidden_dim=8, num_layers=1, max_length=16)
    generator.fit(tf.data.Dataset.from_tensor_slices(TEXTS), verbose=0)
    translator = keras_seq.Translator("rnn", hidden_dim=8, num_heads=2)
    translator.fit(tf.data.Dataset.from_tensor_slices((ENGLISH, GERMAN)).batch(4), verbose=0)
    assert b"Hund" in b"".join(
        translator.tokenizer.decode_bytes(translator.tokenizer.encode("Hund"))
    )
    with pytest.raises(UserError, match="leave out repeat"):
        keras_seq.TextClassifier("rnn").fit(data.batch(8).repeat())


def test_a_generator_reads_every_token_once():
    keras.utils.set_random_seed(0)
    generator = keras_seq.TextGenerator("rnn", hidden_dim=8, num_layers=1, max_length=6)
    x, y, weight = generator.prepare(["abcdefgh", "xyz"])
    ids = [
        2,
        *generator.tokenizer.encode("abcdefgh")[0],
        3,
        2,
        *generator.tokenizer.encode("xyz")[0],
        3,
    ]
    assert y[weight > 0].tolist() == ids[1:]
    assert x[weight > 0].tolist() == ids[:-1]
    assert weight.mean() == pytest.approx(1)
    assert x.shape == y.shape == (3, 6)
    loss = generator.fit(["abcdefgh", "xyz"], verbose=0, batch_size=3, epochs=1).history["loss"][0]
    assert loss == pytest.approx(np.log(260), rel=0.2)


@pytest.mark.slow
def test_a_translator_fits_texts_as_what_preprocess_makes_of_them():
    losses = []
    for prepared in (False, True):
        keras.utils.set_random_seed(0)
        model = keras_seq.Translator("rnn", ByteTokenizer(), hidden_dim=8, num_heads=2, dropout=0.0)
        data = (ENGLISH, GERMAN)
        if prepared:
            data = model.preprocess(*data)
        fitted = model.fit(*data[:2], sample_weight=data[2] if prepared else None, verbose=0)
        losses.append(fitted.history["loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert model.evaluate(ENGLISH, GERMAN, verbose=0) < losses[0]
    weights = np.ones((len(ENGLISH), 101), "float32")
    for validation in ((ENGLISH, GERMAN), (ENGLISH, GERMAN, weights)):
        history = model.fit(ENGLISH, GERMAN, validation_data=validation, verbose=0).history
        assert np.isfinite(history["val_loss"]).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: keras_seq.TextClassifier("gru"), "lstm, rnn, transformer. Received: 'gru'"),
        (lambda: keras_seq.TextClassifier("lstm", hidden_dim=31), "even"),
        (lambda: keras_seq.TextClassifier("lstm", num_heads=2), "has no num heads"),
        (lambda: keras_seq.TextClassifier("lstm", epochs=2), "epochs"),
        (lambda: keras_seq.TextClassifier(RecurrentBackbone(8), num_layers=2), "num_layers"),
        (lambda: keras_seq.TextClassifier("rnn").fit(np.zeros((2, 3)), [0, 1]), "texts. Received: ndarray"),
        (lambda: keras_seq.TextClassifier("rnn").fit(TEXTS), "texts and labels. Received: texts alone"),
        (lambda: keras_seq.Translator("rnn").fit(TEXTS), "translations"),
        (lambda: keras_seq.TextClassifier("rnn").fit(TEXTS[:2], [3, 5]), "are 0 to 1. Received: 3, 5. Give them as names"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
