"""The optimizer of a run, and one with a learning rate for each variable."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_seq.errors import UserError
from keras_seq.options import to_flag
from keras_seq.training.learning_rate import LearningRate
from keras_seq.training.settings import TrainingSettings
from keras_seq.typing import Tensor


def build_optimizer(
    settings: TrainingSettings, total_steps: int, factors: Mapping[str, float] | None = None
) -> keras.optimizers.Optimizer:
    """Builds AdamW as the settings describe it.

    Args:
        settings: The settings of the run.
        total_steps: Batches of the whole run.
        factors: Factors of the learning rate, by the path of a variable.

    Raises:
        UserError: If the run is too short for the settings.
    """
    for name, unit in (("accumulate", "batches per update"), ("warmup_steps", "steps")):
        if getattr(settings, name) > total_steps:
            raise UserError(
                f"The whole run has {total_steps:,} steps, fewer than {name} asks for: nothing "
                f"would be learnt. Received: {name}={getattr(settings, name):,} {unit}. Lower "
                f"{to_flag(name)}, or give more data or --epochs."
            )
    optimizer = LayerwiseAdamW(
        factors or {},
        learning_rate=LearningRate(
            settings.learning_rate, settings.schedule, settings.warmup_steps, total_steps
        ),
        weight_decay=settings.weight_decay,
        global_clipnorm=settings.clip_norm or None,
        gradient_accumulation_steps=settings.accumulate if settings.accumulate > 1 else None,
        use_ema=settings.average > 0,
        ema_momentum=settings.average or 0.99,
    )
    # Biases and scales are not shrunk (as in nanoGPT).
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW with a learning rate for each variable (Howard & Ruder 2018, ULMFiT: discriminative
    fine-tuning).

    Args:
        factors: Factors of the learning rate, by the path of a variable; 1 for others. Weight
            decay is not scaled.
        **kwargs: Arguments of `keras.optimizers.AdamW`.
    """

    def __init__(self, factors: Mapping[str, float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = dict(factors)

    def build(self, variables: list[Any]) -> None:
        """Creates the optimizer's own variables."""
        super().build(variables)
        # TensorFlow hands `update_step` variables of its own, which have no path.
        self._factors = [self.factors.get(variable.path, 1.0) for variable in variables]

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """Updates one variable."""
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factors": self.factors}
