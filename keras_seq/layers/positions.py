"""Where in the sequence a token stands, added to its embedding."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.errors import require_positive

Tensor = Any


class Positions(keras.layers.Layer):
    """Base: a table `(max_length, D)` whose row t is added to position t."""

    def __init__(self, max_length: int, **kwargs: Any) -> None:
        require_positive(max_length=max_length)
        super().__init__(**kwargs)
        self.max_length = max_length
        self.supports_masking = True

    def call(self, inputs: Tensor, position: Tensor | None = None) -> Tensor:
        """Adds positions.

        Args:
            inputs: `(B, T, D)` with T up to `max_length`, or `(B, D)` together with `position`.
            position: `(B,)` int32, where each row stands.

        Returns:
            As `inputs`.
        """
        if position is not None:
            return inputs + ops.take(self.table, position, axis=0)
        length = inputs.shape[1]
        if length is None:
            return inputs + self.table[: ops.shape(inputs)[1]]
        if length > self.max_length:
            raise ValueError(
                f"{self.name} has {self.max_length} positions. Received a sequence of {length}: "
                "cut it, or build the model with a larger max_length."
            )
        return inputs + self.table[:length]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_length": self.max_length}


@keras.saving.register_keras_serializable("keras_seq")
class LearnedPositions(Positions):
    """A trained vector for each position (Gehring et al. 2017).

    Args:
        max_length: Number of positions.
        initializer: Of the table.
    """

    def __init__(self, max_length: int, initializer: Any = "uniform", **kwargs: Any) -> None:
        super().__init__(max_length, **kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.table = self.add_weight(
            shape=(self.max_length, input_shape[-1]), name="table", initializer=self.initializer
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable("keras_seq")
class SinusoidalPositions(Positions):
    """Sines and cosines of falling frequency (Vaswani et al. 2017, section 3.5).

        PE(t, 2i)     = sin(t / 10000^(2i / D))
        PE(t, 2i + 1) = cos(t / 10000^(2i / D))

    Args:
        max_length: Number of positions.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = input_shape[-1]
        angle = np.arange(self.max_length)[:, None] / 10000 ** (
            2 * (np.arange(width)[None, :] // 2) / width
        )
        table = np.where(np.arange(width) % 2 == 0, np.sin(angle), np.cos(angle))
        # A weight, not a constant: exporters store weights once and constants once a signature.
        self.table = self.add_weight(
            shape=table.shape,
            name="table",
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(table, dtype=dtype),
            trainable=False,
        )
