"""Where in the sequence a token stands: added to its embedding, or turning queries and keys."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.errors import require_positive
from keras_seq.layers.lowering import get_lowering
from keras_seq.lookup import take
from keras_seq.typing import Tensor

Rotation = tuple[Tensor, Tensor] | Tensor


class Positions(keras.layers.Layer):
    """Base: a table `(max_length, D)` whose row t is added to position t.

    Args:
        max_length: Number of positions.
    """

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
            return inputs + take(self.table, position)
        return inputs + self._first(self.table, ops.shape(inputs)[1])

    def rotation(
        self, length: int | Tensor | None = None, position: Tensor | None = None
    ) -> Rotation | None:
        """What `MultiHeadAttention` turns queries and keys by, for `length` positions from the
        first on, or for `position`, `(B,)` int32; None where positions are added instead.
        """
        return None

    def _tabled(self, name: str, table: np.ndarray) -> Any:
        """A weight, not a constant: exporters store weights once and constants once a signature."""
        return self.add_weight(
            shape=table.shape,
            name=name,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(table, dtype=dtype),
            trainable=False,
        )

    def _first(self, table: Tensor, length: int | Tensor) -> Tensor:
        if isinstance(length, int) and length > self.max_length:
            raise ValueError(
                f"{self.name} has {self.max_length} positions. Received a sequence of {length}: "
                "cut it, or build the model with a larger max_length."
            )
        return table[:length]

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
        self.table = self._tabled("table", table)


@keras.saving.register_keras_serializable("keras_seq")
class RotaryPositions(Positions):
    """Queries and keys turned by angles that grow with the position (Su et al. 2021, RoFormer).

        (x_i, x_{i + D/2}) -> (x_i cos tθ_i - x_{i + D/2} sin tθ_i,
                               x_i sin tθ_i + x_{i + D/2} cos tθ_i)       θ_i = 10000^(-2i / D)

    D being the width of a head. What a query and a key have in common then depends on how far
    apart they stand. Nothing is added to the embedding.

    Args:
        max_length: Number of positions.
        head_dim: D, even.
    """

    def __init__(self, max_length: int, head_dim: int, **kwargs: Any) -> None:
        require_positive(head_dim=head_dim)
        if head_dim % 2:
            raise ValueError(
                f"Rotary positions turn pairs: a head is of even width. Received: {head_dim}"
            )
        super().__init__(max_length, **kwargs)
        self.head_dim = head_dim

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        rates = 10000 ** (-2 * np.arange(self.head_dim // 2) / self.head_dim)
        angle = np.arange(self.max_length)[:, None] * rates
        cos, sin = np.cos(angle), np.sin(angle)
        # As `rotate` takes them.
        self.cos = self._tabled("cos", np.concatenate([cos, cos], axis=1))
        self.sin = self._tabled("sin", np.concatenate([-sin, sin], axis=1))

    def save_own_variables(self, store: Any) -> None:
        """Nothing: the tables follow from the configuration."""

    def load_own_variables(self, store: Any) -> None:
        """Nothing, as nothing is saved; a file of an earlier version has tables of other shapes."""

    def call(self, inputs: Tensor, position: Tensor | None = None) -> Tensor:
        return inputs

    def rotation(
        self, length: int | Tensor | None = None, position: Tensor | None = None
    ) -> Rotation:
        """Cosines and signed sines, `(T, D)` for the first T positions, `(B, 1, 1, D)` for one; or
        as one matrix, `(B, 1, D, D)`.
        """
        tables = (ops.cast(table, self.compute_dtype) for table in (self.cos, self.sin))
        if position is None:
            cos, sin = (self._first(table, length) for table in tables)
            return cos, sin
        row = ops.reshape(position, (-1, 1, 1))
        cos, sin = (take(table, row) for table in tables)
        if not get_lowering().fuse_projections:
            return cos, sin
        # Made once, for all layers.
        one = np.eye(self.head_dim, dtype="float32")
        return one * cos + np.roll(one, self.head_dim // 2, axis=1) * sin

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "head_dim": self.head_dim}


def rotate(x: Tensor, rotation: Rotation | None) -> Tensor:
    """Queries or keys `(B, nh, T, D)` turned by `RotaryPositions.rotation`; as they are by None."""
    if rotation is None:
        return x
    if not isinstance(rotation, tuple):
        return ops.matmul(x, rotation)
    cos, sin = rotation
    # The last axis by its number: tf2onnx does not know the rank inside of every loop.
    first, second = ops.split(x, 2, axis=3)
    return x * cos + ops.concatenate([second, first], axis=3) * sin
