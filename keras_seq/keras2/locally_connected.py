"""Keras 2's `LocallyConnected1D`, which Keras 3 does not have."""

from typing import Any

import keras
from keras import ops

from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class LocallyConnected1D(keras.layers.Layer):
    """A convolution that has weights of its own at each position.

    Args:
        filters: Number of outputs at a position.
        kernel_size: Steps that an output sees.
        strides: Steps between outputs.
        activation: Activation function.
        use_bias: Whether there is a bias, of each position, too.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias

    def build(self, input_shape: tuple) -> None:
        steps = self.compute_output_shape(input_shape)[1]
        self.kernel = self.add_weight(
            shape=(steps, self.kernel_size * input_shape[-1], self.filters), name="kernel"
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(steps, self.filters), name="bias", initializer="zeros"
            )

    def call(self, inputs: Tensor) -> Tensor:
        steps, stop = self.kernel.shape[0], self.strides * (self.kernel.shape[0] - 1) + 1
        windows = [inputs[:, i : i + stop : self.strides] for i in range(self.kernel_size)]
        windows = ops.concatenate(windows, axis=-1)  # (B, T, kernel_size * C)
        outputs = ops.matmul(ops.transpose(windows, (1, 0, 2)), self.kernel)  # (T, B, filters)
        outputs = ops.reshape(ops.transpose(outputs, (1, 0, 2)), (-1, steps, self.filters))
        return self.activation(outputs if self.bias is None else outputs + self.bias)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        steps = (input_shape[1] - self.kernel_size) // self.strides + 1
        return (input_shape[0], steps, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }
