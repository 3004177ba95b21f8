"""Optimizers beyond those of Keras."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_seq.typing import Tensor


class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW with a learning rate for each variable (Howard & Ruder 2018, ULMFiT: discriminative
    fine-tuning).

    Args:
        factors: Of the learning rate, by the path of a variable; 1 for others; weight decay stays.
        **kwargs: As those of `keras.optimizers.AdamW`.
    """

    def __init__(self, factors: Mapping[str, float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = dict(factors)

    def build(self, variables: list[Any]) -> None:
        """Makes the optimizer's own variables."""
        super().build(variables)
        # TensorFlow hands `update_step` variables of its own, which have no path.
        self._factors = [self.factors.get(variable.path, 1.0) for variable in variables]

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """One variable's update."""
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factors": self.factors}
