"""Runs of the command line, in processes of their own, that are stopped in every way."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

# KILLS=20 pytest tests/training/test_resume_after_kill.py is thorough.
KILLS = int(os.environ.get("KILLS", "3"))
EPOCHS = 3 if KILLS <= 3 else 24
SETTINGS = ["--backbone", "lstm", "--epochs", str(EPOCHS), "--vocabulary-size", "1500"]
SETTINGS += ["--max-length", "66", "--hidden-dim", "32", "--schedule", "cosine", "--average", "0.9"]
SETTINGS += [
    "--accumulate",
    "3",
    "--warmup-steps",
    "5",
    "--clip-norm",
    "1",
    "--label-smoothing",
    "0.1",
]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "keras_seq", "train", "classify", *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*arguments):
    process = start(*arguments)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors[-3000:]
    return errors


def state(run):
    """The last checkpoint's variables, in bytes."""
    with np.load(sorted((run / "checkpoints").glob("step-*.npz"))[-1]) as file:
        return {name: file[name].tobytes() for name in file.files if name != "notes"}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_same(run, reference):
    assert state(run) == state(reference)
    assert (run / "evaluation.json").read_text() == (reference / "evaluation.json").read_text()
    for name in ("metrics.jsonl", "steps.jsonl"):
        found, expected = lines(run / name), lines(reference / name)
        assert len(found) == len(expected) > 2
        for line, other in zip(found, expected, strict=True):
            line.pop("tokens_per_second", None)
            other.pop("tokens_per_second", None)
            assert line == pytest.approx(other, rel=1e-4)


@pytest.fixture(scope="module")
def timed_reference(tmp_path_factory, reviews_file):
    """The run that nothing happened to, and how many seconds it took."""
    run = tmp_path_factory.mktemp("lost") / "reference"
    begun = time.monotonic()
    finish("--data", reviews_file, *SETTINGS, "--output", run)
    return run, time.monotonic() - begun


@pytest.fixture(scope="module")
def reference(timed_reference):
    return timed_reference[0]


def test_killed_at_random_moments_it_ends_with_the_same_weights(
    timed_reference, reviews_file, tmp_path
):
    reference, seconds = timed_reference
    generator = random.Random(7)
    runs = [tmp_path / "0"]
    kills = midway = 0
    while kills < KILLS or not midway:
        run = runs[-1]
        begin = ["--data", reviews_file, *SETTINGS, "--output", run, "--checkpoint-seconds", "0.1"]
        process = start(*(["--resume", run] if (run / "config.json").exists() else begin))
        time.sleep(generator.uniform(0, seconds))
        finished = process.poll() is not None
        process.kill()
        errors = process.communicate()[1]
        if finished:
            assert process.returncode == 0, errors[-3000:]
            assert_same(run, reference)
            runs.append(tmp_path / str(len(runs)))
            continue
        kills += 1
        saved = any((run / "checkpoints").glob("step-*.npz"))
        midway += saved and state(run) != state(reference)
    run = runs[-1]
    if (run / "config.json").exists():
        finish("--resume", run)
        assert_same(run, reference)
    assert not list(tmp_path.rglob("checkpoints/.*"))


def test_ctrl_c_saves_and_says_how_to_go_on(reference, reviews_file, tmp_path):
    run = tmp_path / "run"
    process = start("--data", reviews_file, *SETTINGS, "--output", run)
    while not (run / "steps.jsonl").exists() or len(lines(run / "steps.jsonl")) < 5:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert f"Resume with: keras-seq train classify --resume {run}" in errors
    (checkpoint,) = (run / "checkpoints").glob("step-*.npz")
    # And the disk was full when the next one was written: cut short, it does not count.
    later = checkpoint.with_name("step-0000000999.npz")
    later.write_bytes(checkpoint.read_bytes()[:-1000])
    errors = finish("--resume", run)
    assert "step-0000000999.npz is damaged" in errors
    later.unlink(missing_ok=True)
    assert_same(run, reference)


def test_a_finished_run_has_nothing_left_to_do(reference):
    before = state(reference)
    (reference / "evaluation.json").rename(reference / "earlier.json")
    assert "finished after step" in finish("--resume", reference)
    assert state(reference) == before
    assert (reference / "evaluation.json").read_text() == (reference / "earlier.json").read_text()


def test_another_backend_is_named(reference):
    config = json.loads((reference / "config.json").read_text())
    assert config["keras_backend"] == "tensorflow"
    (reference / "config.json").write_text(json.dumps({**config, "keras_backend": "jax"}))
    assert "KERAS_BACKEND=jax and goes on with tensorflow" in finish("--resume", reference)
    (reference / "config.json").write_text(json.dumps(config))


def test_what_cannot_be_resumed(reference, tmp_path, reviews_file, capsys):
    from keras_seq.cli import main

    def fails(*arguments):
        assert main(["train", "classify", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    assert "not a run folder" in fails("--resume", tmp_path)
    assert "--epochs 9" in fails("--resume", reference, "--epochs", "9")
    assert "keeps its own settings" in fails("--resume", reference, "--data", "sst2")
    config = json.loads((reference / "config.json").read_text())
    changed = tmp_path / "changed"
    changed.mkdir()
    other = tmp_path / "reviews.csv"
    other.write_text(reviews_file.read_text().replace("film", "movie"))
    config["data"]["name_or_path"] = str(other)
    (changed / "config.json").write_text(json.dumps(config))
    (changed / "tokenizer.model").write_bytes((reference / "tokenizer.model").read_bytes())
    assert "its texts have changed" in fails("--resume", changed)
    config["task"] = "translate"
    (changed / "config.json").write_text(json.dumps(config))
    assert "keras-seq train translate --resume" in fails("--resume", changed)
