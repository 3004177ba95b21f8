"""What happens around the steps, on models of one layer."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_seq.data.batches import Batch, Batches
from keras_seq.errors import UserError
from keras_seq.training import Devices, Interrupted, Run, TrainingSettings
from keras_seq.training.journal import Journal
from keras_seq.training.optimizers import build_optimizer
from keras_seq.training.trainer import fit

G = np.random.default_rng(3)
W = G.normal(size=(4, 1))


class Rows(Batches):
    """Rows of a linear function; the same in every epoch."""

    def __init__(self, steps=10, size=8, spoilt=None):
        super().__init__()
        self.steps_per_epoch = steps
        self.x = np.random.default_rng(1).normal(size=(steps * size, 4)).astype("float32")
        self.y = (self.x @ W).astype("float32")
        self.size = size
        if spoilt is not None:
            self.y[spoilt * size] = np.nan

    def _epoch(self, epoch):
        return epoch

    def _batch(self, order, index):
        rows = slice(index * self.size, (index + 1) * self.size)
        return Batch(self.x[rows], self.y[rows], np.ones(self.size, "float32"))


class NoTokenizer:
    model = b""

    def to_json(self):
        return ""


def linear():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_initializer="zeros")])


def run_in(path, settings, batches, model=None, validation=None, **options):
    run = Run(path)
    run.start({"task": "regress", "settings": {}}, NoTokenizer())
    model = model or linear()
    model.compile(build_optimizer(settings, settings.epochs * len(batches)), "mse", **options)
    fit(model, batches, validation or batches, run, settings, Devices(), "loss", verbose=False)
    return model, [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_learns_and_keeps_the_best(tmp_path):
    settings = TrainingSettings(epochs=6, learning_rate=0.05)
    model, epochs = run_in(tmp_path, settings, Rows(50))
    assert [line["epoch"] for line in epochs] == list(range(1, 7))
    assert epochs[-1]["val_loss"] < 1e-3 < epochs[0]["loss"]
    best = keras.saving.load_model(tmp_path / "model.keras")
    losses = [line["val_loss"] for line in epochs]
    found = np.mean((best.predict(Rows(50).x, verbose=0) - Rows(50).y) ** 2)
    assert found == pytest.approx(min(losses), rel=1e-4)
    assert model.count_params() == 5


def test_epoch_means_are_those_of_keras(tmp_path):
    settings = TrainingSettings(epochs=2, learning_rate=0.01, checkpoint_seconds=0)
    _, epochs = run_in(tmp_path, settings, Rows())
    plain = linear()
    plain.compile(build_optimizer(settings, 20), "mse")
    rows = Rows()
    history = plain.fit(rows.x, rows.y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose([line["loss"] for line in epochs], history["loss"], rtol=1e-5)


def test_accumulated_batches_are_one_large_batch(tmp_path):
    small, _ = run_in(
        tmp_path / "a", TrainingSettings(epochs=2, learning_rate=0.01, accumulate=4), Rows(12, 8)
    )
    large, _ = run_in(tmp_path / "b", TrainingSettings(epochs=2, learning_rate=0.01), Rows(3, 32))
    for a, b in zip(small.get_weights(), large.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_clipping_and_decay_are_the_optimizer_s(tmp_path):
    optimizer = build_optimizer(TrainingSettings(clip_norm=0.5, weight_decay=0.1), 10)
    assert (optimizer.global_clipnorm, optimizer.weight_decay) == (0.5, 0.1)
    assert build_optimizer(TrainingSettings(), 10).global_clipnorm is None


def test_the_averaged_weights_are_evaluated_and_kept_but_not_trained(tmp_path):
    settings = TrainingSettings(epochs=2, learning_rate=0.05)
    plain, _ = run_in(tmp_path / "a", settings, Rows())
    settings = TrainingSettings(epochs=2, learning_rate=0.05, average=0.9)
    _, epochs = run_in(tmp_path / "b", settings, Rows())
    rows, steps = Rows(), []
    walked = linear()
    walked.compile(build_optimizer(settings, 20), "mse")
    walked.optimizer.use_ema = False
    average = None
    for step in range(20):
        walked.train_on_batch(rows[step].x, rows[step].y)
        weights = [w.copy() for w in walked.get_weights()]
        steps.append(weights)
        # Keras begins the average with the weights after the first step.
        average = (
            weights
            if step == 0
            else [0.9 * a + 0.1 * w for a, w in zip(average, weights, strict=True)]
        )
    best = keras.saving.load_model(tmp_path / "b" / "model.keras").get_weights()
    for kept, expected, last, other in zip(
        best, average, steps[-1], plain.get_weights(), strict=True
    ):
        np.testing.assert_allclose(kept, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(last, other, rtol=1e-4)  # training itself is the same
    walked.set_weights(average)
    assert epochs[-1]["val_loss"] == pytest.approx(
        walked.evaluate(rows.x, rows.y, verbose=0), rel=1e-4
    )


def test_early_stopping(tmp_path):
    far = Rows()
    far.y = -far.y  # what is learnt makes these worse
    settings = TrainingSettings(epochs=50, learning_rate=0.05, patience=3)
    _, epochs = run_in(tmp_path, settings, Rows(), validation=far)
    assert [line["epoch"] for line in epochs] == [1, 2, 3, 4]
    run = Run(tmp_path)
    model = linear()
    model.compile(build_optimizer(settings, 500), "mse")
    fit(model, Rows(), far, run, settings, Devices(), "loss", verbose=False)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4  # it had ended


def test_a_signal_while_a_step_is_recorded_loses_nothing(tmp_path, monkeypatch):
    def add_step(self, step, values):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Journal, "add_step", add_step)
    settings = TrainingSettings(epochs=3, learning_rate=0.1)
    with pytest.raises(Interrupted, match=f"after step 6 of 30.*resume='{tmp_path}'"):
        run_in(tmp_path, settings, Rows())
    model = linear()
    model.compile(build_optimizer(settings, 30), "mse")
    model.optimizer.build(model.trainable_variables)
    notes = Run(tmp_path).checkpoints.restore([*model.variables, *model.optimizer.variables])
    assert notes["step"] == 6


class InterruptedRows(Rows):
    """Rows that send Ctrl-C when a batch is read for the first time."""

    def __init__(self, at, **options):
        super().__init__(**options)
        self.at = at

    def _batch(self, order, index):
        if index == self.at:
            self.at = None
            os.kill(os.getpid(), signal.SIGINT)
        return super()._batch(order, index)


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_ctrl_c_while_evaluating_stops_at_once_and_loses_nothing(tmp_path, average):
    settings = TrainingSettings(epochs=3, learning_rate=0.1, average=average)
    _, expected = run_in(tmp_path / "whole", settings, Rows())
    validation = InterruptedRows(3, steps=200)
    with pytest.raises(Interrupted, match="after step 10 of 30"):
        run_in(tmp_path / "run", settings, Rows(), validation=validation)
    assert validation._current[0] == 0, "it went on evaluating"
    assert not (tmp_path / "run" / "metrics.jsonl").read_text()
    model = linear()
    model.compile(build_optimizer(settings, 30), "mse")
    fit(model, Rows(), Rows(), Run(tmp_path / "run"), settings, Devices(), "loss", verbose=False)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    for line, epoch in zip(map(json.loads, lines), expected, strict=True):
        assert line["val_loss"] == pytest.approx(epoch["val_loss"], rel=1e-5)
        assert line["loss"] == pytest.approx(epoch["loss"], rel=1e-5)


def test_validation_that_takes_too_long_reads_the_same_part_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_seq.training.validation.MIN_SECONDS", 0.0)
    monkeypatch.setattr("keras_seq.training.validation.SHARE", 0.0)
    settings = TrainingSettings(epochs=2, learning_rate=1e-6)
    rows = Rows(steps=300)
    _, epochs = run_in(tmp_path, settings, Rows(), validation=rows)
    model = linear()
    model.compile(build_optimizer(settings, 20), "mse")
    model.optimizer.build(model.trainable_variables)
    notes = Run(tmp_path).checkpoints.restore([*model.variables, *model.optimizer.variables])
    steps = notes["validation_steps"]
    assert 0 < steps < 300
    expected = np.mean(rows.y[: steps * rows.size] ** 2)  # the weights are zeros
    assert [line["val_loss"] for line in epochs] == pytest.approx([expected] * 2, rel=1e-3)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    settings = TrainingSettings(epochs=3, learning_rate=0.25, checkpoint_seconds=0)
    with pytest.raises(UserError) as error:
        run_in(tmp_path, settings, Rows(spoilt=6))
    assert "The loss is nan at step 7 of 30, with a learning rate of 0.25" in str(error.value)
    assert "The state after step 6 is kept" in str(error.value)
    assert all(word in str(error.value) for word in ("learning_rate", "clip_norm"))
    model = linear()
    model.compile(build_optimizer(settings, 30), "mse")
    model.optimizer.build(model.trainable_variables)
    notes = Run(tmp_path).checkpoints.restore([*model.variables, *model.optimizer.variables])
    assert notes["step"] == 6
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.slow
def test_out_of_memory_names_the_batch_size(tmp_path, compiled):
    """In a process of its own, which ends well although TensorFlow would not."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_trainer import *
from keras_seq.console import run_command
# 4,096 rows of 300 million vectors of 100 floats: 500 TB.
huge = keras.Sequential([
    keras.Input((4,)),
    keras.layers.Dense(100),
    keras.layers.RepeatVector(300_000_000),
    keras.layers.LayerNormalization(),
    keras.layers.GlobalMaxPooling1D(),
    keras.layers.Dense(1),
])
settings = TrainingSettings(epochs=1, batch_size=4096)
run = lambda: run_in(Path("run"), settings, Rows(1, 4096), huge, jit_compile={compiled})
sys.exit(run_command(run))
"""
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert process.returncode == 2, process.stderr[-2000:]
    message = process.stderr.strip().splitlines()[-1]
    assert message.startswith("error: There is too little memory for batches of 4096 rows.")
    assert "--batch-size" in message


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.slow
def test_mixed_precision(tmp_path, precision):
    keras.config.set_dtype_policy(precision)
    try:
        settings = TrainingSettings(epochs=3, learning_rate=0.05, precision=precision)
        model, epochs = run_in(tmp_path, settings, Rows(100))
    finally:
        keras.config.set_dtype_policy("float32")
    assert epochs[-1]["val_loss"] < 0.01
    assert model.layers[-1].compute_dtype == precision.removeprefix("mixed_")
    assert model.weights[0].dtype == "float32"
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (precision == "mixed_float16")
    assert epochs[-1]["learning_rate"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("accumulate", 0), ("average", 1.0), ("clip_norm", -1), ("schedule", "linear"),
     ("precision", "float64"), ("patience", -1), ("learning_rate", 0)],
)  # fmt: skip
def test_settings_that_make_no_sense(name, value):
    with pytest.raises(UserError, match=f"{name} is .* Received: {value}"):
        TrainingSettings(**{name: value})
