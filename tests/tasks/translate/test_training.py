"""A translator of English dates, from a table to a bundle, as a user makes it."""

import io
import json

import pytest

from export.cli import main as export_main
from keras_seq.cli import main
from keras_seq.tasks.translate import dates
from keras_seq.training.run import Run

pytestmark = pytest.mark.slow

SMALL = ["--backbone", "lstm", "--hidden-dim", "64", "--num-heads", "2", "--tokenizer", "bytes"]
SMALL += ["--max-length", "32", "--batch-tokens", "1024", "--epochs", "11", "--warmup-steps", "30"]
SMALL += ["--learning-rate", "0.006", "--dropout", "0", "--average", "0", "--label-smoothing", "0"]
TEXT = "Monday, November 23, 2026"


@pytest.fixture(scope="module")
def table(tmp_path_factory, write_csv):
    path = tmp_path_factory.mktemp("dates") / "dates.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dates, "LOCALES", ("en_US",))
        pairs = dates.make_dates(1500, seed=0)
    rows = list(zip(pairs.sources, pairs.targets, strict=True))
    write_csv(path, [*rows, ("", "2020-01-01"), ("nothing", " ")], ("text", "iso"))
    return path


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    run = tmp_path_factory.mktemp("translate") / "run"
    columns = ["--data", str(table), "--source", "text", "--target", "iso"]
    assert main(["train", "translate", *columns, *SMALL, "--output", str(run)]) == 0
    return run


def test_it_learns_what_a_date_is(trained):
    evaluation = Run(trained).evaluation
    assert evaluation["examples"] == 75
    assert evaluation["exact"] > 0.9
    assert evaluation["cut"] == 0
    assert evaluation["signature"].startswith("nrefs:1|case:mixed")
    epochs = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert {"val_loss", "val_bleu", "val_chrf", "val_exact"} <= epochs[0].keys()
    assert epochs[-1]["val_loss"] < 0.2 < epochs[0]["val_loss"]


def test_what_is_printed(trained, tmp_path, capsys):
    capsys.readouterr()
    assert main(["predict", str(trained), TEXT]) == 0
    assert capsys.readouterr().out == "2026-11-23\n"
    assert main(["predict", str(trained), TEXT, "--alternatives", "3"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "20" in line]
    assert len(lines) == 4
    assert "2026-11-23" in lines[1]
    assert main(["predict", str(trained), TEXT, "--json", "--beam", "1"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["text"], answer["translation"]) == (TEXT, "2026-11-23")
    assert [h["ended"] for h in answer["hypotheses"]] == [True]
    assert main(["predict", str(trained), TEXT, "--max-new-tokens", "4"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "2026\n"
    assert "was cut" in printed.err
    picture = tmp_path / "attention.png"
    assert main(["predict", str(trained), TEXT, "--attention", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    drawing = picture.with_suffix(".svg")
    capsys.readouterr()
    assert main(["predict", str(trained), "犬 23, 2026", "--attention", str(drawing)]) == 0
    assert "6" in drawing.read_text()
    assert "No font" not in capsys.readouterr().err


def test_evaluated_again(trained, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(trained), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == Run(trained).evaluation
    assert main(["evaluate", str(trained), "--json", "--beam", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["num_beams"] == 1
    assert main(["evaluate", str(trained), "--beam", "0"]) == 2
    assert "num_beams is a whole number" in capsys.readouterr().err


def test_evaluated_on_all_pairs_of_a_file(trained, tmp_path, write_csv, capsys):
    path = tmp_path / "own.csv"
    write_csv(path, [(TEXT, "2026-11-23"), (f" {TEXT} ", "2026-11-23")], ("text", "iso"))
    capsys.readouterr()
    assert main(["evaluate", str(trained), "--data", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["examples"], found["exact"]) == (2, 1.0)
    assert main(["evaluate", str(trained), "--data", str(path), "--source", "iso"]) == 2
    assert "translates from text to iso. Received: --source 'iso'" in capsys.readouterr().err


def test_standard_input_as_it_comes(trained, monkeypatch, capsys):
    """A byte order mark, spaces around a text, bytes that are no UTF-8."""
    lines = f"\ufeff{TEXT}\n{TEXT} \t\n  \n".encode() + b"\xff\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    capsys.readouterr()
    assert main(["predict", str(trained), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["translation"] for one in found[:3]] == ["2026-11-23", "2026-11-23", ""]
    assert found[3]["text"] == "?"


def test_a_translator_learns_on(trained, table, tmp_path, capsys):
    """It begins with what it knew: as good after an epoch as it was, and in the same pieces."""
    run, before = tmp_path / "run", Run(trained).evaluation
    words = ["train", "translate", "--data", str(table), "--source", "text", "--target", "iso"]
    words += ["--output", str(run), "--epochs", "1", "--init-from", str(trained)]
    words += ["--learning-rate", "0.0001", "--warmup-steps", "1", "--batch-tokens", "1024"]
    assert main([*words, "--backbone", "lstm", "--average", "0"]) == 0
    capsys.readouterr()
    assert Run(run).evaluation["exact"] > before["exact"] - 0.03
    assert main(["train", "translate", "--resume", str(run)]) == 0
    assert main(["predict", str(run), TEXT]) == 0
    assert capsys.readouterr().out.endswith("2026-11-23\n")


def test_what_is_no_translator_is_nothing_to_begin_with(tmp_path, capsys):
    words = ["train", "translate", "--output", str(tmp_path / "run"), "--init-from"]
    assert main([*words, "preset:sentiment"]) == 2
    assert "is no translator to begin with: it is a TextClassifier" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_exported_on_what_was_held_out(trained, tmp_path, capsys):
    bundle = tmp_path / "bundle"
    arguments = [str(trained), "--format", "onnx", "--output", str(bundle), "--samples", "40"]
    assert export_main([*arguments, "--beam", "2", "--max-new-tokens", "12"]) == 0
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["parity"]["inputs"] == "40 held-out sources of dates.csv"
    assert manifest["parity"]["variants"][0]["signatures"]["translate_text"]["agreement"] == 1
    assert manifest["languages"] == ["text", "iso"]


def test_what_is_refused(trained, table, tmp_path, capsys):
    long = "November 23, 2026 " * 4
    data = ["train", "translate", "--data", str(table)]
    for arguments, words in (
        (["predict", str(trained), TEXT, "--num-beams", "0"], ("num_beams", "Received: 0")),
        (["predict", str(trained), TEXT, "--alternatives", "0"], ("--alternatives",)),
        (
            ["predict", str(trained), TEXT, "--alternatives", "3", "--num-beams", "2"],
            ("--num-beams", "3"),
        ),
        (["train", "classify", "--init-from", str(trained)], ("Translator", "unmask")),
        (["predict", str(trained), long, "--no-split"], ("71 tokens", "room for 32")),
        (["predict", str(trained), TEXT, "--seed", "1"], ("translate", "--seed")),
        (["predict", str(trained), TEXT, "--attention", "a.txt"], (".png", "a.txt")),
        (["predict", str(trained), "", "--attention", "a.png"], ("1 to 32", "Received: 0 tokens")),
        (["predict", str(trained), long, "--attention", "a.png"], ("Received: 71 tokens",)),
        (["predict", str(trained), TEXT, TEXT, "--attention", "a.png"], ("one text", "2")),
        ([*data, "--source", "text", "--target", "text"], ("both 'text'",)),
        ([*data, "--source", "de"], ("'de'", "--source")),
        ([*data, "--source", "text", "--target", "iso", "--batch-tokens", "9"], ("batch_tokens",)),
    ):
        capsys.readouterr()
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert all(word in error for word in words), error
    assert not list(tmp_path.iterdir())
