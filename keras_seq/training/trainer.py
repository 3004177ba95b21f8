"""The training loop of any model: `fit`, checkpoints, records and the best epoch."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from keras_seq.data.batches import Batches
from keras_seq.data.feed import feed
from keras_seq.errors import OutOfMemoryError, UserError, choose_wording
from keras_seq.training.devices import Devices
from keras_seq.training.interrupts import Interrupted, StopSignal
from keras_seq.training.journal import Journal
from keras_seq.training.progress import Progress
from keras_seq.training.run import Run, copy_uncompiled
from keras_seq.training.settings import TrainingSettings
from keras_seq.training.validation import Validation

MAX_LOG_LINES = 100  # of steps.jsonl, about
READ_SECONDS = 0.05  # between two looks at the loss, for which the device must be waited for


def fit(
    model: keras.Model,
    batches: Batches,
    validation: Batches,
    run: Run,
    settings: TrainingSettings,
    devices: Devices,
    monitor: str = "accuracy",
    verbose: bool = True,
    scores: Callable[[], Mapping[str, float]] = dict,
) -> None:
    """Trains a compiled model, from the run's last checkpoint if there is one.

    The model is evaluated after each epoch, and the best one is kept in the run folder. Checkpoints
    are taken by the clock and after each epoch.

    Args:
        model: The model, compiled with the optimizer of `settings`.
        batches: Batches to learn from.
        validation: Batches that select the best epoch.
        run: The run, started.
        settings: The settings.
        devices: The devices; the function is called inside `devices.use`.
        monitor: The metric that selects the best epoch: the lowest loss, or the highest of another.
        verbose: Show the progress.
        scores: Returns further metrics of the model after each epoch, by name.

    Raises:
        UserError: If the loss is not a finite number, or there is too little memory.
        Interrupted: After Ctrl-C or SIGTERM; the state is saved.
    """
    model.optimizer.build(model.trainable_variables)
    with StopSignal().listening() as stop:
        loop = _TrainingLoop(
            model, batches, validation, run, settings, devices, monitor, stop, scores, verbose
        )
        try:
            if not loop.resume():
                return
            model.fit(
                feed(batches, loop.step, devices.share, loop.token_counts.__setitem__),
                steps_per_epoch=loop.total - loop.step,
                callbacks=[loop],
                shuffle=False,
                verbose=0,
            )
        except Interrupted:
            loop.save_rest()
            raise Interrupted(loop.describe_stop()) from None
        except Exception as error:
            if _is_out_of_memory(error):
                raise OutOfMemoryError(
                    f"There is too little memory for batches of {settings.batch_size} rows. Lower "
                    "--batch-size (--accumulate makes up for it) or --max-length, or use "
                    "--precision mixed_bfloat16."
                ) from error
            raise
        finally:
            loop.close()


class _TrainingLoop(keras.callbacks.Callback):
    """Records, evaluates and saves between steps.

    Keras sees the whole run as one epoch, so that it can resume in the middle of one of ours.
    """

    def __init__(
        self,
        model: keras.Model,
        batches: Batches,
        validation: Batches,
        run: Run,
        settings: TrainingSettings,
        devices: Devices,
        monitor: str,
        stop: StopSignal,
        scores: Callable[[], Mapping[str, float]],
        verbose: bool,
    ) -> None:
        super().__init__()
        self.set_model(model)
        self.run, self.settings, self.devices = run, settings, devices
        self.validation = Validation(validation, devices, stop)
        self.monitor, self.stop, self.scores = monitor, stop, scores
        self.steps_per_epoch = len(batches)
        self.total = settings.epochs * self.steps_per_epoch
        self.record_every = max(1, self.total // MAX_LOG_LINES)
        self.token_counts: dict[int, int] = {}
        self.step = self.saved_step = 0
        self.best: float | None = None
        self.waited = 0
        self.finished = False
        self.epoch_means, self.record_means = _Means(), _Means()
        self.unseen_tokens = 0
        self.visible = verbose and devices.chief
        self.progress: Progress | None = None
        self.journal: Journal | None = None

    def resume(self) -> bool:
        """Restores the last checkpoint; returns whether anything is left to do."""
        notes = self.run.checkpoints.restore(self._state())
        unevaluated = False
        if notes is not None:
            self.step = self.saved_step = notes["step"]
            self.best, self.waited = notes["best"], notes["waited"]
            self.finished = notes["finished"]
            if self.total > notes.get("total", self.step if self.finished else self.total):
                self.finished, self.waited = False, 0  # More epochs are asked for.
            self.epoch_means = _Means(**notes["epoch_means"])
            self.record_means = _Means(**notes["record_means"])
            self.validation.steps = notes.get("validation_steps", self.validation.steps)
            unevaluated = notes.get("unevaluated", False)
        self.journal = Journal(self.run.path, self.step) if self.devices.chief else None
        self.progress = Progress(self.total, self.steps_per_epoch, self.step, self.visible)
        self.folded = self.step
        self.saved_at = self.read_at = time.monotonic()
        if self.finished:
            self.progress.line(f"This run is finished: {self.step:,} steps.")
        elif self.step:
            self.progress.line(f"Resuming after step {self.step:,} of {self.total:,}")
        if unevaluated:
            self._finish_epoch()
            self._save()
        return not self.finished

    def close(self) -> None:
        for shown in (self.progress, self.journal):
            if shown is not None:
                shown.close()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.unseen_tokens += self.token_counts.pop(self.step, 0)
        self.step += 1
        self.logs = logs
        now = time.monotonic()
        epoch_ends = self.step % self.steps_per_epoch == 0
        record = epoch_ends or self.step % self.record_every == 0
        due = now - self.saved_at >= self.settings.checkpoint_seconds and not self.shared
        self.stop.postpone(True)  # from the first step on, which may be compiled for long
        # Read once: a signal that comes further down is seen after the next step, which saves.
        stopping = self.stop.received
        save = epoch_ends or due or stopping
        if not (record or save or now - self.read_at >= READ_SECONDS):
            return
        self.read_at = now
        values = {name: float(value) for name, value in logs.items()}
        self._require_finite(values["loss"])
        means = self.epoch_means.add(values, self.step - self.folded)
        self.progress.update(self.step, self.unseen_tokens, means.values())
        self.unseen_tokens = 0
        if record or save:
            self._fold(values)
        if record:
            self._record()
        if epoch_ends and not stopping:
            self._finish_epoch()
        if save:
            self._save(unevaluated=epoch_ends and stopping)
        if stopping:
            raise Interrupted
        if self.finished:
            self.model.stop_training = True

    def _fold(self, values: dict[str, float]) -> None:
        # Keras's own running means start again, so that none of them is lost with a process.
        steps = self.step - self.folded
        self.record_means = self.record_means.add(values, steps)
        self.epoch_means, self.folded = self.epoch_means.add(values, steps), self.step
        self.model.reset_metrics()

    def save_rest(self) -> None:
        """Saves the steps since the last checkpoint, after a signal between two steps."""
        if self.step > self.saved_step:
            self._fold({name: float(value) for name, value in self.logs.items()})
            self._save()

    def describe_stop(self) -> str:
        """Returns what to say after a signal: what is saved, and how to go on."""
        task, path = self.run.config["task"], str(self.run.path)
        return (
            f"Stopped after step {self.saved_step:,} of {self.total:,}; nothing is lost. Resume "
            "with: "
            + choose_wording(
                f"keras-seq train {task} --resume {path}",
                f"keras_seq.train({task!r}, resume={path!r})",
            )
        )

    @property
    def shared(self) -> bool:
        """Whether several processes train: their clocks differ, so they save after each epoch."""
        return self.devices.processes > 1

    def _state(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _save(self, unevaluated: bool = False) -> None:
        """Saves a checkpoint; `unevaluated` says that it ends an epoch that is to be evaluated."""
        notes = {
            "step": self.step,
            "total": self.total,
            "best": self.best,
            "waited": self.waited,
            "finished": self.finished,
            "epoch_means": vars(self.epoch_means),
            "record_means": vars(self.record_means),
            "validation_steps": self.validation.steps,
            "unevaluated": unevaluated,
        }
        if self.devices.chief:
            self.run.checkpoints.save(self.step, self._state(), notes)
        self.saved_step, self.saved_at = self.step, time.monotonic()

    def _save_model(self) -> None:
        if self.devices.chief:
            self.run.save_model(self.model)
            return
        # All processes make the copy together.
        copy_uncompiled(self.model)

    def _learning_rate(self) -> float:
        return float(self.model.optimizer.learning_rate)

    def _require_finite(self, loss: float) -> None:
        if math.isfinite(loss):
            return
        saved = (
            f"The state after step {self.saved_step:,} is kept in {self.run.checkpoints.folder}."
            if self.saved_step
            else "There was no checkpoint yet."
        )
        raise UserError(
            f"The loss is {loss} at step {self.step:,} of {self.total:,}, with a learning rate of "
            f"{self._learning_rate():.3g}. {saved} Try a lower --learning-rate, --warmup-steps, "
            "--clip-norm 1"
            + (", a lower --weight-decay" if self.settings.weight_decay else "")
            + (", or --precision float32." if self.settings.precision != "float32" else ".")
        )

    def _record(self) -> None:
        if self.journal is not None:
            self.journal.add_step(
                self.step,
                {
                    **self.record_means.values(),
                    "learning_rate": self._learning_rate(),
                    "tokens_per_second": self.progress.tokens_per_second,
                },
            )
        self.record_means = _Means()

    def _finish_epoch(self) -> None:
        try:
            self._end_epoch()
        except Interrupted:
            self._save(unevaluated=True)
            raise

    def _end_epoch(self) -> None:
        epoch = self.step // self.steps_per_epoch
        results = self.epoch_means.values()
        with self._averaged_weights():
            results |= {f"val_{name}": value for name, value in self._validate().items()}
            value = results[f"val_{self.monitor}"]
            sign = -1 if self.monitor == "loss" else 1
            if self.best is None or sign * value > sign * self.best:
                self.best, self.waited = value, 0
                self._save_model()
            else:
                self.waited += 1
        stopped_early = 0 < self.settings.patience <= self.waited
        self.finished = stopped_early or self.step == self.total
        if self.journal is not None:
            self.journal.add_epoch(
                self.step, epoch, {**results, "learning_rate": self._learning_rate()}
            )
        shown = [f"{name.replace('_', ' ')} {v:.4f}" for name, v in results.items()]
        told = ", ".join(filter(None, [*shown, self.progress.describe_speed()]))
        self.progress.line(f"epoch {epoch} of {self.settings.epochs}: {told}")
        if stopped_early and self.step < self.total:
            self.progress.line(
                f"No better result in {self.waited} epochs: training stops (--patience)."
            )
        self.epoch_means = _Means()
        self.model.reset_metrics()

    def _validate(self) -> dict[str, float]:
        """Returns the loss, the metrics and the scores.

        Raises:
            Interrupted: After a signal.
        """
        decided = self.validation.steps is not None
        with self.progress.pause("validating"):
            self.stop.postpone(False)
            values = self.validation.evaluate(self.model, self.progress.epoch_seconds)
            self.stop.check()
            values |= self.scores()
            self.stop.check()
            self.stop.postpone(True)
        if self.validation.is_cut and not decided:
            self.progress.line(
                f"Validation reads {self.validation.steps:,} of {len(self.validation.batches):,} "
                "batches, so that it takes no longer than a quarter of an epoch"
            )
        return values

    @contextlib.contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Inside, the model has the moving average of its weights, if one is kept."""
        if not self.settings.average:
            yield
            return
        weights = self.model.trainable_variables
        own = [keras.ops.convert_to_numpy(weight) for weight in weights]
        self.model.optimizer.finalize_variable_values(weights)
        for weight in weights:
            # A copy: JAX gives away what a weight holds, and the average goes on.
            weight.assign(keras.ops.copy(weight))
        try:
            yield
        finally:
            for weight, value in zip(weights, own, strict=True):
                weight.assign(value)


class _Means:
    """Means of metrics over steps."""

    def __init__(self, steps: int = 0, sums: dict[str, float] | None = None) -> None:
        self.steps = steps
        self.sums = sums or {}

    def add(self, means: dict[str, float], steps: int) -> "_Means":
        """Returns the means over these steps and `steps` more."""
        sums = {name: self.sums.get(name, 0.0) + mean * steps for name, mean in means.items()}
        return _Means(self.steps + steps, sums)

    def values(self) -> dict[str, float]:
        return {name: total / self.steps for name, total in self.sums.items()}


def _is_out_of_memory(error: Exception) -> bool:
    words = ("RESOURCE_EXHAUSTED", "Out of memory", "OOM when", "bad_alloc")
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or any(word in str(error) for word in words)
    )
