"""The command lines as a user runs them, with what a user gets wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from export.cli import main as export_main
from keras_seq.cli import main

ROOT = Path(__file__).resolve().parents[1]
BACKBONES = (
    pytest.param("rnn", marks=pytest.mark.slow),
    "lstm",
    pytest.param("transformer", marks=pytest.mark.slow),
)


def fails(capsys, arguments, *words, run=main):
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    for word in words:
        assert str(word) in error


@pytest.mark.parametrize("backbone", BACKBONES)
def test_run_folder(runs, backbone):
    run = runs[backbone]
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["backbone"] == backbone
    assert config["settings"]["hidden_dim"] == 32
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in epochs] == [1]
    assert {"loss", "accuracy", "val_accuracy"} <= epochs[0].keys()
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["examples"] == 50
    assert not [path.name for path in run.iterdir() if "partial" in path.name]


def test_evaluate_agrees_with_training(runs, capsys):
    evaluation = json.loads((runs["lstm"] / "evaluation.json").read_text())
    # Where the public data sets lie says nothing about the held-out part of a user's own file.
    for options in ([], ["--data-dir", str(runs["lstm"])]):
        assert main(["evaluate", str(runs["lstm"]), "--json", *options]) == 0
        assert json.loads(capsys.readouterr().out) == evaluation


def test_evaluate_prints_a_table_for_other_data(runs, tmp_path, capsys, write_csv):
    write_csv(tmp_path / "a.csv", [("great", "positive"), ("awful", "negative")])
    assert main(["evaluate", str(runs["lstm"]), "--data", str(tmp_path / "a.csv")]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("precision", "recall", "f1", "positive", "mean"))
    model = runs["lstm"] / "model.keras"
    assert main(["evaluate", str(model), "--data", str(tmp_path / "a.csv")]) == 0


def test_predict(runs, capsys):
    texts = ["great", "", "👩‍👩‍👧", "مرحبا", "a\0b", "x" * 1_000_000]
    assert main(["predict", str(runs["lstm"]), "--json", *texts]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["text"] for answer in answers] == texts
    for answer in answers:
        assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8:surrogateescape", "utf-8:strict", "latin-1"])
def test_predict_reads_standard_input_of_any_bytes(runs, encoding):
    """In UTF-8 whatever the locale; a byte that is none is read as "?", and shown so."""
    process = subprocess.run(
        [sys.executable, "-m", "keras_seq", "predict", str(runs["rnn"]), "--json"],
        input=b"\xef\xbb\xbfgreat\nfine\r\n" + b"caf\xe9\n",
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    texts = [json.loads(line)["text"] for line in process.stdout.splitlines()]
    assert texts == ["great", "fine", "caf?"]


@pytest.mark.slow
def test_chinese_with_three_classes(tmp_path, capsys):
    rows = [("这部电影很好看", "好"), ("太难看了，浪费时间", "坏"), ("还可以，一般", "中")]
    rows = [(f"{text}{i}", label) for i in range(40) for text, label in rows]
    path = tmp_path / "评论.jsonl"
    path.write_text(
        "\n".join(json.dumps({"评": t, "类": x}, ensure_ascii=False) for t, x in rows), "utf-8"
    )
    run = tmp_path / "跑"
    arguments = ["train", "classify", "--data", str(path), "--text-column", "评"]
    arguments += ["--label-column", "类", "--output", str(run), "--vocabulary-size", "400"]
    arguments += ["--epochs", "12", "--max-length", "16", "--batch-size", "16", "--dropout", "0"]
    assert main(arguments) == 0
    assert json.loads((run / "evaluation.json").read_text())["accuracy"] > 0.9
    capsys.readouterr()
    assert main(["predict", str(run), "--json", "这部电影很好看99"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["label"] == "好"
    assert sorted(answer["probabilities"]) == sorted("好坏中")
    assert export_main([str(run), "--output", str(tmp_path / "捆"), "--format", "onnx"]) == 0


@pytest.mark.slow
def test_newest_run_exports_to_every_format(runs, tmp_path, monkeypatch, capsys):
    (tmp_path / "runs").mkdir()
    for backbone, age in (("rnn", 100), ("lstm", 0)):
        (tmp_path / "runs" / backbone).symlink_to(runs[backbone])
        model = runs[backbone] / "model.keras"
        os.utime(model, (model.stat().st_mtime - age,) * 2)
    monkeypatch.chdir(tmp_path)
    assert export_main(["--samples", "20"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("saved_model", "tflite", "onnx", "100.00%"))
    manifest = json.loads((tmp_path / "bundles" / "lstm" / "manifest.json").read_text())
    assert manifest["parity"]["inputs"] == "20 held-out texts of few.csv"
    assert manifest["metrics"]["data"] == "few.csv"
    assert manifest["trained_on"] == {"data": "few.csv"}
    card = (tmp_path / "bundles" / "lstm" / "README.md").read_text()
    assert "Trained on few.csv." in card
    assert "Results on held-out data of few.csv" in card

    assert export_main(["check", "bundles/lstm"]) == 0
    assert "100.00%" in capsys.readouterr().out
    assert export_main(["inspect", "bundles/lstm"]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("token_ids int32 [B, T]", "text uint8 [B, L]", "text string [B]",
               "LSTM 4", "tables take", "reading a text adds"))  # fmt: skip

    fails(capsys, ["--samples", "20"], "bundles/lstm", "--overwrite", run=export_main)
    assert export_main(["--samples", "20", "--overwrite", "--format", "onnx"]) == 0
    assert not (tmp_path / "bundles" / "lstm" / "tflite").exists()


@pytest.mark.slow
def test_keras_file_exports_on_random_inputs_or_given_data(runs, few_reviews_file, tmp_path):
    arguments = [str(runs["transformer"] / "model.keras"), "--format", "tflite"]
    assert export_main([*arguments, "--output", str(tmp_path / "a")]) == 0
    assert export_main([*arguments, "--output", str(tmp_path / "b"), "--data", str(few_reviews_file),
                        "--batch", "2", "--max-length", "40"]) == 0  # fmt: skip
    a, b = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in "ab")
    assert a["parity"]["inputs"] == "16 random inputs"
    assert b["parity"]["inputs"] == "50 held-out texts of few.csv"
    assert b["variants"][0]["sizes"] == {"B": 2, "T": 40, "L": 322}


def test_no_run_says_how_to_make_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fails(capsys, [], "runs", "keras-seq train --help", run=export_main)


def test_bad_training_data(tmp_path, capsys, write_csv):
    train = ["train", "classify", "--output", tmp_path / "run", "--data"]
    empty, one, tiny = (tmp_path / f"{name}.csv" for name in ("empty", "one", "tiny"))
    empty.write_text("")
    write_csv(one, [("a", "x"), ("b", "x")])
    write_csv(tiny, [("a", "x"), ("b", "y")])
    fails(capsys, [*train, tmp_path / "none.csv"], "none.csv", "does not exist")
    fails(capsys, [*train, empty], empty, "is empty")
    fails(capsys, [*train, one], one, "two classes")
    fails(capsys, [*train, tiny], "Give more examples")
    fails(capsys, [*train, "imdb"], "'imdb'", "movie_reviews", "sst2")
    one.write_text("text,label\na,x\nb\n")
    fails(capsys, [*train, one], one, "line 3", "nothing in the column 'label'")
    one.write_bytes(b"\xef\xbb\xbftext,label\ncaf\xe9,x\n")
    fails(capsys, [*train, one], one, "line 2", "byte 0xe9")
    write_csv(one, [("a", "x"), ("b", "y")], header=("review", "label"))
    fails(capsys, [*train, one], "'text'", "'review'")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_bad_settings(few_reviews_file, runs, tmp_path, capsys):
    train = ["train", "classify", "--data", few_reviews_file, "--output", tmp_path / "run"]
    fails(capsys, [*train, "--epochs", "0"], "epochs", "0")
    fails(capsys, [*train, "--max-length", "-1"], "max_length", "-1")
    fails(capsys, [*train, "--learning-rate", "0"], "learning_rate", "0")
    fails(capsys, [*train, "--dropout", "1.5"], "dropout", "1.5")
    fails(capsys, [*train, "--backbone", "transformer", "--hidden-dim", "30"], "30", "4 heads")
    fails(capsys, [*train, "--hidden-dim", "31"], "31", "even")
    fails(capsys, [*train, "--num-layers", "0"], "num_layers", "0")
    fails(capsys, [*train, "--vocabulary-size", "100"], "vocabulary_size", "261", "100")
    fails(capsys, [*train, "--seed", "-1"], "seed", "-1")
    fails(capsys, [*train, "--vocabulary-size", "300"], "so many different characters", "300")
    assert not (tmp_path / "run").exists()
    short = [*train, "--epochs", "1", "--vocabulary-size", "1500"]
    fails(capsys, [*short, "--accumulate", "500"], "steps", "accumulate=500")
    fails(capsys, [*train[:-1], tmp_path / "run2", *short[6:], "--warmup-steps", "1000"],
          "steps", "warmup_steps=1,000")  # fmt: skip
    fails(capsys, [*train[:-1], runs["lstm"]], runs["lstm"], "not empty")


def test_options_that_a_model_has_no_use_for(few_reviews_file, tmp_path, capsys):
    run = ["--output", tmp_path / "run"]
    words = ["train", "generate", "--data", few_reviews_file, *run]
    fails(capsys, [*words, "--vocabulary-size", "500"], "--tokenizer bytes", "ary-size 500")
    lstm = [*words, "--backbone", "lstm", "--num-heads", "2"]
    fails(capsys, lstm, "--backbone lstm has no num heads", "--num-heads 2")
    pairs = ["train", "translate", *run, "--backbone", "rnn", "--intermediate-dim", "8"]
    fails(capsys, pairs, "--backbone rnn", "--intermediate-dim 8")
    subwords = ["train", "translate", *run, "--tokenizer", "bytes", "--subword-alpha", "0.2"]
    fails(capsys, subwords, "one way only", "0.2")
    alike = ["train", "translate", *run, "--r-drop", "5", "--dropout", "0"]
    fails(capsys, alike, "r_drop 5.0 and dropout 0")
    (tmp_path / "a.txt").write_text("To be, or not to be. " * 99)
    column = ["train", "generate", "--data", tmp_path / "a.txt", *run, "--text-column", "review"]
    fails(capsys, column, "a.txt", "not a table", "'review'")
    assert not (tmp_path / "run").exists()


def test_unseen_label(runs, tmp_path, capsys, write_csv):
    write_csv(tmp_path / "a.csv", [("great", "positive"), ("so so", "mixed")])
    fails(
        capsys,
        ["evaluate", runs["lstm"], "--data", tmp_path / "a.csv"],
        "'mixed'",
        "negative, positive",
    )


def test_bad_models(runs, tmp_path, capsys):
    cut = tmp_path / "cut.keras"
    cut.write_bytes((runs["lstm"] / "model.keras").read_bytes()[:-1000])
    for path, word in ((cut, "cut short"), (tmp_path, "is a folder"),
                       (tmp_path / "none.keras", "does not exist")):  # fmt: skip
        fails(capsys, ["predict", path, "text"], path, word)
        fails(capsys, ["evaluate", path], path, word)
        fails(capsys, [path, "--output", tmp_path / "b"], path, word, run=export_main)
    assert not (tmp_path / "b").exists()
    (tmp_path / "config.json").write_text('{"task": "classify", "data": {}, "settings": {}}')
    fails(capsys, ["predict", tmp_path, "text"], "did not finish an epoch")
    (tmp_path / "config.json").write_text("{}")
    fails(capsys, ["predict", tmp_path, "text"], "config.json is damaged: task is no str")


def test_bad_bundles(runs, tmp_path, capsys):
    for command in ("check", "inspect"):
        fails(capsys, [command, tmp_path], "not a bundle", run=export_main)
    (tmp_path / "file").write_text("")
    fails(capsys, [runs["rnn"], "--output", tmp_path / "file"], "is a file", run=export_main)
    fails(capsys, [runs["rnn"], "--output", tmp_path / "b", "--samples", "0"], "--samples",
          run=export_main)  # fmt: skip
