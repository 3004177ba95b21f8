"""Language models trained by a run, evaluated, and gone on from."""

import json

import keras
import numpy as np
import pytest

from keras_seq.cli import main
from keras_seq.data.batches import HeldOutBlocks
from keras_seq.data.corpus import Texts
from keras_seq.models import load_model
from keras_seq.tasks.generate.training import evaluate
from keras_seq.tasks.language_modeling.settings import BACKBONES
from keras_seq.tasks.language_modeling.training import build_language_model
from keras_seq.tasks.unmask.batches import MaskedBatches
from keras_seq.tasks.unmask.model import MaskedLanguageModel
from keras_seq.text import ByteTokenizer
from keras_seq.training.optimizers import LayerwiseAdamW

pytestmark = pytest.mark.slow

SMALL = ["--hidden-dim", "32", "--num-layers", "1", "--max-length", "32", "--warmup-steps", "10"]
SMALL += ["--epochs", "2", "--batch-size", "8", "--steps-per-epoch"]
STEPS = {"generate": "150", "unmask": "10"}  # Only what the first has learnt is looked at.


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "counting.txt"
    path.write_text("one two three four five six seven. " * 400, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(text_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for task, steps in STEPS.items():
        arguments = ["train", task, "--data", str(text_file), *SMALL, steps]
        assert main([*arguments, "--output", str(folder / task)]) == 0
    return folder


def test_what_was_learnt_is_written(trained, capsys):
    run = str(trained / "generate")
    evaluation = json.loads((trained / "generate" / "evaluation.json").read_text())
    assert evaluation["loss"] < 0.4
    assert evaluation["perplexity"] == pytest.approx(np.exp(evaluation["loss"]))
    assert evaluation["bits_per_byte"] == pytest.approx(evaluation["loss"] / np.log(2), rel=0.01)
    capsys.readouterr()
    options = ["--max-new-tokens", "11", "--temperature", "0"]
    assert main(["predict", run, "--prompt", "one two ", *options]) == 0
    assert capsys.readouterr().out == "one two three four \n"
    assert main(["predict", run, "one two ", "--stop", "fo", "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out) == {"prompt": "one two ", "text": "three "}
    options = ["--max-new-tokens", "11", "--beam", "3"]
    assert main(["predict", run, "--prompt", "one two ", *options]) == 0
    assert capsys.readouterr().out == "one two three four \n"
    assert main(["predict", run, "one two ", "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)["hypotheses"]
    assert [h["text"] for h in found][:1] == ["three four "]
    assert len({h["text"] for h in found}) == 3
    assert main(["evaluate", run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == evaluation


def test_predict_says_what_it_cannot_do(trained, capsys):
    for arguments, words in (
        ([str(trained / "generate"), "--prompt", "x" * 40], ("40 tokens", "--truncate")),
        ([str(trained / "generate"), "x", "--temperature", "-1"], ("temperature", "-1")),
        ([str(trained / "generate"), "x", "--num-beams", "0"], ("num_beams", "0")),
        (
            [str(trained / "generate"), "x", "--num-beams", "2", "--seed", "1"],
            ("--num-beams", "--seed"),
        ),
        (["preset:sentiment", "--prompt", "x"], ("classify", "--prompt")),
        (["preset:sentiment", "x", "--beam", "2"], ("classify", "--num-beams")),
        ([str(trained / "unmask"), "x"], ("unmask", "--init-from")),
    ):
        assert main(["predict", *arguments]) == 2
        error = capsys.readouterr().err
        assert all(word in error for word in words), error


def test_evaluation_counts_every_token_once(trained):
    """Against reading the text again for each token."""
    model = load_model(trained / "generate" / "model.keras")
    text = "one two three four five six seven. one, two and three; " * 2
    found = evaluate(model, Texts([text]), "x")
    ids = np.array([2, *model.tokenizer.encode([text])[0], 3])
    window, starts = model.max_length, range(0, 10**6, model.max_length // 2)
    total = 0.0
    for t in range(1, len(ids)):
        # The first window that reads the token, or the last one of all.
        start = next(s for s in starts if s + window >= t)
        start = min(start, len(ids) - 1 - window)
        block = ids[start : start + window]
        logits = keras.ops.convert_to_numpy(model(block[None].astype("int32")))[0, t - 1 - start]
        logits = logits.astype("float64")
        total -= logits[ids[t]] - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
    assert found["tokens"] == len(ids) - 1
    assert found["loss"] == pytest.approx(total / (len(ids) - 1), abs=1e-4)


def test_hidden_tokens():
    blocks = HeldOutBlocks(np.arange(20_000) % 200 + 4, 8, 64)
    batches = MaskedBatches(blocks, 260, mask=1, first=4, seed=0)
    batch, whole = batches[3], blocks[3]
    (seen, places), rows = batch.x, np.arange(8)[:, None]
    assert places.shape == (8, 10)  # 15 % of 64
    assert (np.diff(places) > 0).all()
    np.testing.assert_array_equal(batch.y, whole.x[rows, places])
    elsewhere = np.ones_like(seen, bool)
    elsewhere[rows, places] = False
    np.testing.assert_array_equal(seen[elsewhere], whole.x[elsewhere])
    assert 0.65 < (seen[rows, places] == 1).mean() < 0.95
    np.testing.assert_array_equal(batch.weight, 1)
    np.testing.assert_array_equal(batches[3].x[0], seen)
    assert len(np.unique(np.concatenate([b.x[1].ravel() for b in batches]))) == 64  # all places


def test_only_tokens_of_a_text_are_hidden():
    ids = np.full(641, 2)
    ids[2::64] = 9  # One token of a text in each row of 64.
    blocks = HeldOutBlocks(ids, 4, 64)
    batches = MaskedBatches(blocks, 260, mask=1, first=4, seed=0)
    batch = batches[0]
    counts = batch.weight > 0
    np.testing.assert_array_equal(counts.sum(axis=1), 1)
    np.testing.assert_array_equal(batch.y[counts], 9)
    np.testing.assert_allclose(batch.weight.mean(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(batch.x[0] == 2, blocks[0].x == 2)
    assert batches[2].weight[2:].max() == 0  # Rows that only fill the last batch up.


@pytest.mark.parametrize("backbone", ["lstm", "transformer"])
def test_places_alone_have_the_logits_of_all(backbone):
    settings = BACKBONES[backbone].replace(hidden_dim=8, num_layers=1, num_heads=2, max_length=16)
    model = build_language_model(MaskedLanguageModel, settings, ByteTokenizer())
    ids = np.random.default_rng(0).integers(4, 260, (3, 16), dtype="int32")
    places = np.array([[0, 7], [3, 15], [1, 2]], "int32")
    some = keras.ops.convert_to_numpy(model((ids, places)))
    every = keras.ops.convert_to_numpy(model(ids))
    np.testing.assert_allclose(some, every[np.arange(3)[:, None], places], atol=1e-6)


def test_a_classifier_begins_where_a_language_model_ended(trained, tmp_path, write_csv, capsys):
    path = tmp_path / "texts.csv"
    rows = [(f"one two three {i}", "up") for i in range(40)]
    write_csv(path, rows + [(f"three two one {i}", "down") for i in range(40)])
    common = ["train", "classify", "--data", str(path), "--epochs", "1", "--batch-size", "8"]
    capsys.readouterr()
    for task, option, changes in (
        ("generate", "--freeze", False),
        ("unmask", "--layer-decay=0.5", True),
    ):
        before = load_model(trained / task / "model.keras").backbone.get_weights()
        output = tmp_path / task
        run = [*common, "--init-from", str(trained / task), option, "--output", str(output)]
        assert main([*run, "--limit", "40"]) == 0
        assert "32 examples to learn from, 8 to choose the best" in capsys.readouterr().err
        model = load_model(output / "model.keras")
        # Without a length of one's own it is what the backbone has place for.
        assert model.max_length == 32
        after = model.backbone.get_weights()
        moved = any((a != b).any() for a, b in zip(before, after, strict=True))
        assert moved == changes
    assert main([*common, "--init-from", str(trained / "unmask"), "--max-length", "99"]) == 2
    assert "max_length must be from 1 to the backbone's 32" in capsys.readouterr().err
    begun = ["--init-from", str(trained / "unmask")]
    for options, words in (
        (["--freeze"], "--init-from"),
        ([*begun, "--freeze", "--layer-decay", "0.5"], "leave layer_decay out"),
        (["--limit", "1"], "limit is 0 for all, or 2 or more"),
    ):
        assert main([*common, *options]) == 2
        assert words in capsys.readouterr().err


def test_a_learning_rate_for_each_variable():
    a, b = (keras.Variable(np.ones(3), name=name) for name in "ab")
    optimizer = LayerwiseAdamW({a.path: 0.5}, learning_rate=0.1, weight_decay=0.0)
    optimizer.build([a, b])
    optimizer.apply([np.ones(3, "float32")] * 2, [a, b])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(a), 0.95, atol=1e-4)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(b), 0.90, atol=1e-4)
