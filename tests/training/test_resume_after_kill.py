"""Runs of the command line that are stopped in every way, each in a process of its own."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_seq.cli import main

pytestmark = pytest.mark.slow

SETTINGS = ["--backbone", "rnn", "--epochs", "3", "--tokenizer", "bytes", "--max-length", "66"]
SETTINGS += [
    "--hidden-dim",
    "16",
    "--embedding-dim",
    "8",
    "--batch-size",
    "32",
    "--schedule",
    "cosine",
]
SETTINGS += ["--average", "0.9", "--accumulate", "3", "--warmup-steps", "5", "--clip-norm", "1"]
SETTINGS += ["--label-smoothing", "0.1"]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "keras_seq", "train", "classify", *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*arguments):
    """In this process: TensorFlow is there."""
    assert main(["train", "classify", *map(str, arguments)]) == 0


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


def kill_after(process, run, steps):
    """Kills a process once its run has recorded so many steps, unless it ends before."""
    while process.poll() is None and recorded_steps(run) < steps:
        time.sleep(0.02)
    process.kill()
    errors = process.communicate()[1]
    assert process.returncode in (0, -signal.SIGKILL), errors[-3000:]


def recorded_steps(run):
    path = run / "steps.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture(scope="module")
def reference(tmp_path_factory, few_reviews_file):
    """The run that nothing happened to."""
    run = tmp_path_factory.mktemp("lost") / "reference"
    finish("--data", few_reviews_file, *SETTINGS, "--output", run)
    return run


def test_killed_at_any_step_it_ends_with_the_same_weights(
    reference, few_reviews_file, tmp_path, full
):
    run, total = tmp_path / "run", recorded_steps(reference)
    moments = random.Random(7).sample(range(2, total), 20 if full else 2)
    begin = ["--data", few_reviews_file, *SETTINGS, "--output", run, "--checkpoint-seconds", "0.1"]
    midway = 0
    for steps in sorted(moments):
        started = (run / "config.json").exists()
        kill_after(start(*(["--resume", run] if started else begin)), run, steps)
        saved = any((run / "checkpoints").glob("step-*.npz"))
        midway += saved and state(run) != state(reference)
    assert midway
    finish("--resume", run)
    assert_same(run, reference)
    assert not list(tmp_path.rglob("checkpoints/.*"))


def test_ctrl_c_saves_and_says_how_to_go_on(reference, few_reviews_file, tmp_path, capsys):
    run = tmp_path / "run"
    process = start("--data", few_reviews_file, *SETTINGS, "--output", run)
    while recorded_steps(run) < 5:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert f"Resume with: keras-seq train classify --resume {run}" in errors
    (checkpoint,) = (run / "checkpoints").glob("step-*.npz")
    # And the disk was full when the next one was written: cut short, it does not count.
    later = checkpoint.with_name("step-0000000999.npz")
    later.write_bytes(checkpoint.read_bytes()[:-1000])
    capsys.readouterr()
    finish("--resume", run)
    assert "step-0000000999.npz is damaged" in capsys.readouterr().err
    later.unlink(missing_ok=True)
    assert_same(run, reference)


def test_a_finished_run_has_nothing_left_to_do_and_keeps_its_backend(reference, capsys):
    before = state(reference)
    (reference / "evaluation.json").rename(reference / "earlier.json")
    config = json.loads((reference / "config.json").read_text())
    assert config["keras_backend"] == "tensorflow"
    (reference / "config.json").write_text(json.dumps({**config, "keras_backend": "jax"}))
    capsys.readouterr()
    finish("--resume", reference)
    errors = capsys.readouterr().err
    (reference / "config.json").write_text(json.dumps(config))
    assert "This run is finished" in errors
    assert "KERAS_BACKEND=jax and goes on with tensorflow" in errors
    assert state(reference) == before
    assert (reference / "evaluation.json").read_text() == (reference / "earlier.json").read_text()


def test_what_cannot_be_resumed(reference, tmp_path, few_reviews_file, capsys):
    def fails(*arguments):
        assert main(["train", "classify", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    assert "not a run folder" in fails("--resume", tmp_path)
    assert "may have more. Received: 2" in fails("--resume", reference, "--epochs", "2")
    assert "--learning-rate 1" in fails("--resume", reference, "--learning-rate", "1")
    assert "keeps its own settings" in fails("--resume", reference, "--data", "sst2")
    config = json.loads((reference / "config.json").read_text())
    changed = tmp_path / "changed"
    changed.mkdir()
    other = tmp_path / "reviews.csv"
    other.write_text(few_reviews_file.read_text().replace("film", "movie"))
    config["data"]["name_or_path"] = str(other)
    (changed / "config.json").write_text(json.dumps(config))
    assert "its texts have changed" in fails("--resume", changed)
    config["task"] = "translate"
    (changed / "config.json").write_text(json.dumps(config))
    assert "keras-seq train translate --resume" in fails("--resume", changed)
