"""The learning rate over a run."""

import math
from typing import Any

import keras
from keras import ops

from keras_seq.training.settings import SCHEDULES
from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up to `peak`, then one of

        constant       peak
        inverse_sqrt   peak · sqrt(w / t)                                 (Vaswani et al. 2017)
        cosine         peak · (1 + cos(π (t - w) / (n - w))) / 2    (Loshchilov & Hutter 2017)

    with t the step, w the steps of the warm-up, at least 1, and n those of the run.

    Args:
        peak: The highest rate.
        schedule: "constant", "inverse_sqrt" or "cosine".
        warmup_steps: Number of steps of the warm-up.
        total_steps: Number of steps of the run; "cosine" ends there at 0.
    """

    def __init__(self, peak: float, schedule: str, warmup_steps: int, total_steps: int) -> None:
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule is one of {SCHEDULES}. Received: {schedule!r}")
        self.peak = peak
        self.schedule = schedule
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the rate of a step; the first step is 0."""
        step = ops.cast(step, "float32") + 1
        warmup = float(max(self.warmup_steps, 1))
        factor = ops.ones_like(step)
        if self.schedule == "inverse_sqrt":
            factor = ops.sqrt(warmup / ops.maximum(step, warmup))
        elif self.schedule == "cosine":
            rest = max(self.total_steps - warmup, 1.0)
            passed = ops.clip((step - warmup) / rest, 0.0, 1.0)
            factor = (1 + ops.cos(math.pi * passed)) / 2
        if self.warmup_steps:
            factor = ops.where(step < warmup, step / warmup, factor)
        return self.peak * factor

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "schedule": self.schedule,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }
