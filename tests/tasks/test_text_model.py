"""Models of all tasks as a notebook makes them: by the name of a backbone, fitted on texts."""

import keras
import numpy as np
import pandas as pd
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
    for validation in ((ENGLISH, GERMAN), [ENGLISH, GERMAN], (ENGLISH, GERMAN, weights)):
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
        (lambda: keras_seq.TextClassifier(None), "backbone is one of lstm.*Received: None"),
        (lambda: keras_seq.TextClassifier("rnn", hiden_dim=3), "Did you mean hidden_dim"),
        (lambda: keras_seq.TextClassifier("rnn", hidden_dim="16"), "hidden_dim is a whole number. Received: '16'"),
        (lambda: keras_seq.TextClassifier("rnn", labels="ab"), "labels is a list. Received: 'ab'"),
        (lambda: keras_seq.TextClassifier("rnn").fit(np.zeros((2, 3)), [0, 1]), r"texts: fit\(texts, labels\). Received: ndarray"),
        (lambda: keras_seq.TextClassifier("rnn").fit(TEXTS), r"fit\(texts, labels\).* alone"),
        (lambda: keras_seq.TextClassifier("rnn").fit([], []), "Received: an empty list"),
        (lambda: keras_seq.TextClassifier("rnn").fit(TEXTS, [0, 1, 0]), "Received: [0-9]+ and 3"),
        (lambda: keras_seq.Translator("rnn").fit(TEXTS), r"fit\(texts, translations\).* alone"),
        (lambda: keras_seq.Translator("rnn").fit([("a", "b")]), r"fit\(texts, translations\).*a list of 1, the first one a tuple"),
        (lambda: keras_seq.TextGenerator("rnn").fit(None), r"fit\(texts\) takes texts.*Received: None"),
        (lambda: keras_seq.TextGenerator("rnn").fit(7), "Received: 7"),
        (lambda: keras_seq.TextClassifier("rnn").fit(TEXTS[:2], [3, 5]), "count up from 0.*Received: 3, 5. Give such as these as names"),
        (lambda: keras_seq.TextClassifier("rnn").fit(TEXTS[:2], [0.5, 0.0]), "are whole and.*Received: 0.0, 0.5"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("wrong", [None, 5, {}, [1, 2], np.zeros(3)])
def test_what_is_no_data_is_refused_by_every_method(wrong):
    model = keras_seq.TextClassifier("rnn", "bytes", labels=["bad", "good"], hidden_dim=4)
    calls = {
        "fit(texts, labels)": lambda: model.fit(wrong, [0, 1]),
        "evaluate(texts, labels)": lambda: model.evaluate(wrong, [0, 1]),
        "predict(texts)": lambda: model.predict(wrong),
    }
    for call, make in calls.items():
        with pytest.raises(UserError) as caught:
            make()
        assert str(caught.value).startswith(f"{call} takes texts, or rows of token ids. Received: ")
    with pytest.raises(UserError, match=r"evaluate\(texts, labels\) takes texts and their labels"):
        model.evaluate(TEXTS)


def test_labels_may_be_true_and_false():
    answers = [i % 2 == 0 for i in range(len(TEXTS))]
    for y in (answers, np.array(answers), pd.Series(answers)):
        model = keras_seq.TextClassifier("rnn", "bytes", hidden_dim=4)
        model.fit(TEXTS, y, verbose=0)
        assert model.labels == ["False", "True"]
        np.testing.assert_array_equal(model.preprocess(TEXTS, y)[1], np.array(answers, int))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epoch": 1}, "no argument 'epoch'. Did you mean epochs"),
        ({"epochs": "1"}, "epochs is a whole number. Received: '1'"),
        ({"epochs": 1.5}, "epochs is a whole number. Received: 1.5"),
        ({"batch_size": 0}, "batch_size is a whole number, 1 or more. Received: 0"),
        ({"validation_split": 2}, r"validation_split is a share in \[0, 1\). Received: 2"),
        ({"validation_split": "a"}, "validation_split is a number. Received: 'a'"),
        ({"validation_data": ["good"]}, r"validation_data is texts and their labels.*a list of 1"),
    ],
)
def test_what_fit_does_not_take_is_told_before_it_trains(options, words):
    model = keras_seq.TextClassifier("rnn", "bytes", labels=["bad", "good"], hidden_dim=4)
    with pytest.raises(UserError, match=words):
        model.fit(TEXTS, LABELS, **options)
    assert not (model.compiled and int(model.optimizer.iterations))


def test_texts_for_predict_of_a_model_that_writes():
    generator = keras_seq.TextGenerator("rnn", hidden_dim=4, num_layers=1, max_length=8)
    with pytest.raises(UserError, match=r"takes token ids.*generate\(texts\) or beam_search"):
        generator.predict("x")
    with pytest.raises(UserError, match=r"fit\(texts\) takes texts alone"):
        generator.fit(TEXTS, TEXTS)


def test_a_missing_text_says_what_to_do():
    model = keras_seq.TextClassifier("rnn", "bytes", hidden_dim=4)
    for missing in (None, float("nan"), pd.NA):
        with pytest.raises(UserError, match=r"item 1: .*dropna\(\)"):
            model.fit(pd.Series(["a", missing, "b"]), ["x", "y", "x"])
