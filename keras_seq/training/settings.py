"""How a model is trained, whatever the task. Plain data: imports nothing heavy."""

from dataclasses import dataclass
from typing import Self

from keras_seq.options import Options, option

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SCHEDULES = ("constant", "inverse_sqrt", "cosine")

AT_LEAST_0 = ("0 or more", lambda x: x >= 0)
AT_LEAST_1 = ("1 or more", lambda x: x >= 1)
# Far beyond what fits a machine: a number in a damaged file is refused before a layer is made.
WIDTH = ("from 1 to 100,000", lambda x: 1 <= x <= 100_000)
LAYERS = ("from 1 to 1,000", lambda x: 1 <= x <= 1_000)
LENGTH = ("from 1 to 1,000,000", lambda x: 1 <= x <= 1_000_000)
SHARE = ("in [0, 1)", lambda x: 0 <= x < 1)

TRAINING, RUN, MACHINE = "training", "run", "machine"
MODEL, PRETRAINING = "model", "pre-training"

LONGEST_WARMUP = 100
LONGEST_AVERAGE = 0.99


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Options):
    """The settings that all tasks share. Each field's help text says what it is.

    Raises:
        UserError: If a value is outside of its range.
    """

    epochs: int = option(2, "passes over the data", group=TRAINING, check=AT_LEAST_1)
    batch_size: int = option(64, "texts per step", group=TRAINING, check=AT_LEAST_1)
    learning_rate: float = option(
        1e-3,
        "peak learning rate of Adam",
        group=TRAINING,
        check=("above 0, below 10", lambda x: 0 < x < 10),
    )
    schedule: str = option(
        "constant", "learning rate after the warm-up", group=TRAINING, choices=SCHEDULES
    )
    warmup_steps: int | None = option(
        0, "steps of linear warm-up", group=TRAINING, check=AT_LEAST_0
    )
    weight_decay: float = option(
        0.0, "weight decay of AdamW; 0 for plain Adam", group=TRAINING, check=AT_LEAST_0
    )
    clip_norm: float = option(
        0.0, "maximum norm of the gradient; 0 disables clipping", group=TRAINING, check=AT_LEAST_0
    )
    accumulate: int = option(1, "batches per update", group=TRAINING, check=AT_LEAST_1)
    average: float | None = option(
        0.0,
        "decay of the exponential moving average of the weights, such as 0.999; 0 disables it",
        group=TRAINING,
        check=SHARE,
    )
    label_smoothing: float = option(0.0, "label-smoothing factor", group=TRAINING, check=SHARE)
    patience: int = option(
        0,
        "early stopping: epochs without a better result; 0 disables it",
        group=TRAINING,
        check=AT_LEAST_0,
    )
    precision: str = option(
        "float32", "precision of the computation", group=MACHINE, choices=PRECISIONS
    )
    checkpoint_seconds: float = option(
        120.0, "seconds between checkpoints", group=RUN, check=AT_LEAST_0
    )
    seed: int = option(
        0,
        "random seed",
        group=RUN,
        check=("from 0 to 4294967295", lambda x: 0 <= x < 1 << 32),
    )

    def for_steps(self, total: int) -> Self:
        """Returns the settings of a run of `total` steps: what is None suits its length."""
        changes: dict[str, float] = {}
        if self.warmup_steps is None:
            changes["warmup_steps"] = min(LONGEST_WARMUP, total // 10)
        if self.average is None:
            # A longer memory would be one of the first steps.
            changes["average"] = min(LONGEST_AVERAGE, max(0.0, 1 - 10 / total))
        return self.replace(**changes)
