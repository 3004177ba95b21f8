"""One training session of any task: from data and settings to a run folder with a model in it."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import keras

from keras_seq.console import print_status
from keras_seq.data.batches import Batches
from keras_seq.data.corpus import Corpus
from keras_seq.data.source import DataSource
from keras_seq.errors import UserError
from keras_seq.files import read_bytes
from keras_seq.text import ByteTokenizer, SentencePieceTokenizer, Tokenizer
from keras_seq.training.devices import Devices
from keras_seq.training.optimizers import build_optimizer
from keras_seq.training.run import Run, write_json
from keras_seq.training.settings import TrainingSettings
from keras_seq.training.trainer import fit


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What a task prepares and a session carries out.

    Attributes:
        model: The model to train, not yet compiled; it has a `tokenizer`.
        batches: Batches to learn from.
        validation: Batches that select the best epoch.
        fingerprint: Hash of what is learnt from; a resumed run must have the same.
        loss: The loss that the model is compiled with.
        weighted_metrics: The metrics that it is compiled with.
        monitor: The metric that selects the best epoch: the lowest loss, or the highest of another.
        scores: Returns further metrics of the model after each epoch, by name.
        factors: Factors of the learning rate, by the path of a variable.
        initial: The model whose weights the run begins with; None for random weights.
    """

    model: keras.Model
    batches: Batches
    validation: Batches
    fingerprint: str
    loss: Any
    weighted_metrics: Sequence[Any] | None = None
    monitor: str = "loss"
    scores: Callable[[], Mapping[str, float]] = dict
    factors: Mapping[str, float] = field(default_factory=dict)
    initial: Any = None


@dataclass(frozen=True)
class Session:
    """One run of a task: trained from the start, or resumed.

    Args:
        task: A `keras_seq.tasks.Task`.
        corpus: The data.
        settings: The settings.
        run: A new run, whose folder is made once data and settings have proven usable, or one that
            was started with the same corpus and settings.
        source: The data source that loads `corpus` again.
        devices: Where to train; one device by default.
        verbose: Show the progress.
    """

    task: Any
    corpus: Corpus
    settings: TrainingSettings
    run: Run
    source: DataSource
    devices: Devices = field(default_factory=Devices)
    verbose: bool = True

    def train(self) -> Any:
        """Trains, keeps the best epoch in the run folder, and evaluates it on held-out examples.

        Returns:
            The best epoch's model; None in a process that is not the first of several.

        Raises:
            UserError: If the data can't be learnt from, or the settings don't fit together.
        """
        with training_scope(self.settings, self.devices):
            self._fit(self.task.prepare(self))
        if not self.devices.chief:
            return None
        best = keras.saving.load_model(self.run.model_path)
        options = {name: getattr(self.settings, name) for name in self.task.evaluation_settings}
        metrics = self.task.evaluate(best, self.corpus.held_out, self.corpus.name, **options)
        write_json(self.run.evaluation_path, metrics)
        return best

    def _fit(self, plan: TrainingPlan) -> None:
        steps = len(plan.batches)
        settings = self.settings.for_steps(self.settings.epochs * steps)
        optimizer = build_optimizer(settings, settings.epochs * steps, plan.factors)
        self._start(plan)
        plan.model.compile(optimizer, plan.loss, weighted_metrics=plan.weighted_metrics)
        parameters = sum(math.prod(v.shape) for v in plan.model.trainable_variables)
        self.print_status(
            f"Training {parameters:,} parameters for {settings.epochs} × {steps:,} steps of "
            f"{plan.batches.describe()}"
        )
        fit(
            plan.model,
            plan.batches,
            plan.validation,
            self.run,
            settings,
            self.devices,
            monitor=plan.monitor,
            verbose=self.verbose,
            scores=plan.scores,
        )

    def _start(self, plan: TrainingPlan) -> None:
        """Makes the run's folder, or checks that a resumed run has what it was started with."""
        run, backend = self.run, keras.backend.backend()
        if not run.started:
            if self.devices.chief:
                config = {
                    "task": self.task.name,
                    "data": asdict(self.source),
                    "data_sha256": plan.fingerprint,
                    "keras_backend": backend,
                    "settings": asdict(self.settings),
                }
                run.start(config, plan.model.tokenizer, plan.initial)
        elif run.config.get("data_sha256") != plan.fingerprint:
            raise UserError(
                f"{self.corpus.name} is not what {run.path} learnt from: its texts have changed. "
                "Put the data back, or start a new run."
            )
        elif run.config.get("keras_backend") != backend:
            self.print_status(
                f"The run was started with KERAS_BACKEND={run.config.get('keras_backend')} and "
                f"goes on with {backend}: its weights will differ from those of an uninterrupted "
                "run."
            )

    def print_status(self, text: str) -> None:
        """Prints a line on standard error, in the first process."""
        if self.verbose and self.devices.chief:
            print_status(text)

    def load_or_train_tokenizer(
        self, texts: Sequence[str], split_digits: bool = False
    ) -> Tokenizer:
        """Returns the run's tokenizer; a new run trains it on `texts` where it has pieces.

        Args:
            texts: The texts to learn pieces from.
            split_digits: Whether each digit is a piece of its own.
        """
        settings: Any = self.settings
        if settings.tokenizer == "bytes":
            return ByteTokenizer()
        if self.run.started:
            return SentencePieceTokenizer(read_bytes(self.run.tokenizer_path))
        self.print_status(f"Learning a vocabulary of at most {settings.vocabulary_size:,} pieces")
        return SentencePieceTokenizer.train(
            texts, settings.vocabulary_size, settings.seed, split_digits
        )


@contextlib.contextmanager
def training_scope(settings: TrainingSettings, devices: Devices) -> Iterator[None]:
    """Inside, models are built in the precision of `settings`, on `devices`, from its seed."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)
    try:
        with devices.use(settings.batch_size):
            keras.utils.set_random_seed(settings.seed)
            yield
    finally:
        keras.config.set_dtype_policy(policy)
