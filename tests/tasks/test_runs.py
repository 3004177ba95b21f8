"""Runs from Python in one call, with data by name, by path and in memory."""

import json

import numpy as np
import pandas as pd
import pytest

import keras_seq
from keras_seq.data.memory import write_examples
from keras_seq.errors import UserError
from keras_seq.models import find_model
from keras_seq.tasks.evaluation import evaluate_run

TEXTS = [f"a joy to watch {i}" if i % 2 else f"a waste of time {i}" for i in range(80)]
LABELS = [i % 2 for i in range(80)]
SMALL = {
    "backbone": "rnn",
    "hidden_dim": 8,
    "tokenizer": "bytes",
    "max_length": 24,
    "batch_size": 16,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two epochs on a table in memory."""
    table = pd.DataFrame({"review": TEXTS, "stars": LABELS})
    return keras_seq.train(
        "classify", table, output=tmp_path_factory.mktemp("runs") / "run", epochs=2,
        text_column="review", label_column="stars", verbose=False, **SMALL,
    )  # fmt: skip


def test_what_a_run_shows(trained):
    assert {"loss", "val_loss", "val_accuracy"} <= trained.history.keys()
    assert len(trained.history["loss"]) == 2
    assert trained.evaluation["examples"] == 8
    assert trained.evaluate() == trained.evaluation
    assert trained.model.labels == ["0", "1"]
    assert len(trained.plot().axes) == 2
    assert repr(trained).startswith("TrainedRun(")
    assert f"accuracy {trained.evaluation['accuracy']:.4g}" in repr(trained)
    assert len(repr(trained)) < 300


def test_a_run_holds_the_data_that_was_in_memory(trained, tmp_path):
    rows = (trained.path / "data.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row) for row in rows][:2] == [
        {"review": TEXTS[0], "stars": "0"},
        {"review": TEXTS[1], "stars": "1"},
    ]
    trained.path.rename(tmp_path / "moved")
    try:
        model, run = find_model(tmp_path / "moved")
        assert evaluate_run(model, run) == run.evaluation
    finally:
        (tmp_path / "moved").rename(trained.path)


@pytest.mark.slow
def test_a_finished_run_goes_on_with_more_epochs(tmp_path):
    """To the weights of one that had as many from the start, where the rate is constant."""
    data = (TEXTS, LABELS)
    options = {**SMALL, "schedule": "constant", "warmup_steps": 0, "verbose": False}
    whole = keras_seq.train("classify", data, output=tmp_path / "whole", epochs=3, **options)
    part = keras_seq.train("classify", data, output=tmp_path / "part", epochs=1, **options)
    assert len(part.history["loss"]) == 1
    with pytest.raises(UserError, match=r"1 epochs.*may have more. Received: 0"):
        keras_seq.train("classify", resume=part.path, epochs=0)
    with pytest.raises(UserError, match=r"only epochs may grow. Received: learning_rate, data"):
        keras_seq.train("classify", TEXTS, resume=part.path, learning_rate=1)
    again = keras_seq.train("classify", resume=part.path, epochs=3, verbose=False)
    assert again.config == whole.config
    assert again.history["loss"] == pytest.approx(whole.history["loss"], rel=1e-5)
    for weight, other in zip(again.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.slow
def test_data_by_path_and_other_tasks(tmp_path):
    (tmp_path / "counting.txt").write_text("one two three four five six seven. " * 90)
    small = {**SMALL, "num_layers": 1, "steps_per_epoch": 2, "warmup_steps": 1, "verbose": False}
    run = keras_seq.train(
        "generate", tmp_path / "counting.txt", output=tmp_path / "plays", epochs=1, **small
    )
    assert isinstance(run.model, keras_seq.TextGenerator)
    assert run.config["data"]["name_or_path"] == str(tmp_path / "counting.txt")
    pairs = [(f"dog {i}", f"Hund {i}") for i in range(60)]
    run = keras_seq.train(
        "translate", pairs, output=tmp_path / "pairs", source="en", target="de", backbone="rnn",
        hidden_dim=8, num_heads=2, tokenizer="bytes", epochs=1, warmup_steps=1, verbose=False,
    )  # fmt: skip
    assert (run.model.source, run.model.target) == ("en", "de")
    assert run.evaluation["examples"] == 3


def test_what_cannot_be_leaves_no_folder(tmp_path):
    for options, words in (
        ({"data": (TEXTS, LABELS[:-1])}, "text 80, label 79"),
        ({"data": {"text": TEXTS}}, "no column 'label'. It has: text"),
        ({"data": 7}, "text and label.*Received: 7"),
        ({"data": (TEXTS, ["a"] * 80)}, "two classes"),
        ({"data": (TEXTS, LABELS), "epoch": 3}, "epoch is no option of the task classify. Options: .*epochs"),
        ({"data": (TEXTS, LABELS), "backbone": "gru"}, "lstm, rnn, transformer. Received: 'gru'"),
        ({"data": None}, "data is None. Give data"),
        ({"data": (TEXTS, LABELS), "epochs": "3"}, "epochs is a whole number. Received: '3'"),
        ({"data": "nowhere"}, "neither a data set nor a file"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            keras_seq.train("classify", output=tmp_path / "run", verbose=False, **options)
        assert not (tmp_path / "run").exists()


def test_forms_of_data_in_memory(tmp_path):
    path, names = tmp_path / "data.jsonl", ("text", "label")
    table = pd.DataFrame({"label": [1, 0], "text": ["a", "é"], "other": [0, 0]})
    for data in (table, {"text": ["a", "é"], "label": [1, 0]}, (["a", "é"], np.array([1, 0])),
                 (table["text"], table["label"]), [("a", 1), ("é", 0)]):  # fmt: skip
        write_examples(data, names, path)
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        assert rows == [{"text": "a", "label": "1"}, {"text": "é", "label": "0"}]
    for data in (["a", "é"], pd.Series(["a", "é"]), np.array(["a", "é"]), ("a", "é")):
        write_examples(data, ("text",), path)
        assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == ["a", "é"]
