"""How a model is trained, whatever it learns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import keras

from keras_seq.errors import UserError
from keras_seq.training.learning_rate import SCHEDULES, LearningRate
from keras_seq.training.optimizers import LayerwiseAdamW

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The settings every task shares.

    Attributes:
        epochs: Passes over the data.
        batch_size: Rows of a step.
        learning_rate: Of Adam, at its highest.
        schedule: What follows the warm-up: "constant", "inverse_sqrt" or "cosine".
        warmup_steps: Steps in which the learning rate rises.
        weight_decay: Of AdamW; 0 for plain Adam.
        clip_norm: The gradient is scaled down to this norm; 0 leaves it.
        accumulate: Batches whose gradients make one update.
        average: Decay of the weights' moving average, which is evaluated and kept; 0 for none.
        label_smoothing: Share of the probability spread over all classes.
        patience: Evaluations without a better result before the run ends; 0 for all epochs.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        checkpoint_seconds: Between two checkpoints.
        seed: Of everything random.
    """

    epochs: int = 2
    batch_size: int = 64
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    accumulate: int = 1
    average: float = 0.0
    label_smoothing: float = 0.0
    patience: int = 0
    precision: str = "float32"
    checkpoint_seconds: float = 120.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._require("1 or more", lambda x: x >= 1, "epochs", "batch_size", "accumulate")
        self._require(
            "0 or more",
            lambda x: x >= 0,
            "warmup_steps",
            "weight_decay",
            "clip_norm",
            "patience",
            "checkpoint_seconds",
        )
        self._require("in [0, 1)", lambda x: 0 <= x < 1, "average", "label_smoothing")
        self._require("from 0 to 4294967295", lambda x: 0 <= x < 1 << 32, "seed")
        self._require("above 0, below 10", lambda x: 0 < x < 10, "learning_rate")
        self._require(f"one of {', '.join(SCHEDULES)}", SCHEDULES.__contains__, "schedule")
        self._require(f"one of {', '.join(PRECISIONS)}", PRECISIONS.__contains__, "precision")

    def changed(self, **changes: Any) -> Self:
        """These settings with what is not None in `changes` put in their place."""
        return replace(self, **{name: v for name, v in changes.items() if v is not None})

    def _require(self, what: str, holds: object, *names: str) -> None:
        for name in names:
            if not holds(getattr(self, name)):
                raise UserError(f"{name} is {what}. Received: {getattr(self, name)}")

    def optimizer(
        self, total_steps: int, factors: Mapping[str, float] | None = None
    ) -> keras.optimizers.Optimizer:
        """Adam as the settings describe it, for a run of `total_steps` batches.

        Args:
            total_steps: Of the run.
            factors: Of the learning rate, by the path of a variable.

        Raises:
            UserError: If the run is too short for the settings.
        """
        for name, what in (("accumulate", "batches an update"), ("warmup_steps", "steps")):
            if getattr(self, name) > total_steps:
                raise UserError(
                    f"The whole run has {total_steps:,} steps, fewer than {name} asks for: nothing "
                    f"would be learnt. Received: {name}={getattr(self, name):,} {what}. Lower "
                    f"--{name.replace('_', '-')}, or give more data or --epochs."
                )
        rate = LearningRate(self.learning_rate, self.schedule, self.warmup_steps, total_steps)
        optimizer = LayerwiseAdamW(
            factors or {},
            learning_rate=rate,
            weight_decay=self.weight_decay,
            global_clipnorm=self.clip_norm or None,
            gradient_accumulation_steps=self.accumulate if self.accumulate > 1 else None,
            use_ema=self.average > 0,
            ema_momentum=self.average or 0.99,
        )
        # Biases and scales are not shrunk (as in nanoGPT).
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer
