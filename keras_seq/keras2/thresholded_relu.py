"""Keras 2's `ThresholdedReLU`, which Keras 3 does not have."""

from typing import Any

import keras
from keras import ops

from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class ThresholdedReLU(keras.layers.Layer):
    """Returns x where it is larger than `theta`, and 0 elsewhere.

    Args:
        theta: The threshold.
    """

    def __init__(self, theta: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.theta = theta
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * ops.cast(inputs > self.theta, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "theta": self.theta}
