"""Positions of tokens, added to their embeddings or applied as rotations of queries and keys."""

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
            position: `(B,)` int32, the position of each row.

        Returns:
            The shape of `inputs`.
        """
        if position is not None:
            return inputs + take(self.table, position)
        return inputs + self._first_rows(self.table, ops.shape(inputs)[1])

    def rotation(
        self, length: int | Tensor | None = None, position: Tensor | None = None
    ) -> Rotation | None:
        """Returns the rotation of queries and keys for `MultiHeadAttention`.

        It is that of the first `length` positions, or of `position`, `(B,)` int32; None where
        positions are added instead.
        """
        return None

    def _add_table(self, name: str, table: np.ndarray) -> Any:
        """Adds a table as a weight: files store weights once, and constants once a signature."""
        return self.add_weight(
            shape=table.shape,
            name=name,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(table, dtype=dtype),
            trainable=False,
        )

    def _first_rows(self, table: Tensor, length: int | Tensor) -> Tensor:
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
        initializer: Initializer of the table.
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
        scaled: First multiply the inputs by `D ** 0.5`, as section 3.4 does: the vectors of a new
            `keras.layers.Embedding` are so small that the positions drown them otherwise. Give
            False where the inputs have about unit variance already, as those of
            `TokenEmbedding(..., scaled=True)` have.
    """

    def __init__(self, max_length: int, scaled: bool = True, **kwargs: Any) -> None:
        super().__init__(max_length, **kwargs)
        self.scaled = scaled

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = input_shape[-1]
        angle = np.arange(self.max_length)[:, None] / 10000 ** (
            2 * (np.arange(width)[None, :] // 2) / width
        )
        table = np.where(np.arange(width) % 2 == 0, np.sin(angle), np.cos(angle))
        self.table = self._add_table("table", table)

    def call(self, inputs: Tensor, position: Tensor | None = None) -> Tensor:
        if self.scaled:
            inputs = inputs * inputs.shape[-1] ** 0.5
        return super().call(inputs, position)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scaled": self.scaled}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SinusoidalPositions":
        # Files from before the argument added positions to the inputs as they were.
        return cls(**{"scaled": False, **config})


@keras.saving.register_keras_serializable("keras_seq")
class RotaryPositions(Positions):
    """Rotates queries and keys by angles that grow with the position (Su et al. 2021, RoFormer).

        (x_i, x_{i + D/2}) -> (x_i cos tθ_i - x_{i + D/2} sin tθ_i,
                               x_i sin tθ_i + x_{i + D/2} cos tθ_i)       θ_i = 10000^(-2i / D)

    D is the width of a head. The product of a query and a key then depends on their distance.
    Nothing is added to the embedding.

    Args:
        max_length: Number of positions.
        head_dim: Width of a head, D; even.
    """

    def __init__(self, max_length: int, head_dim: int, **kwargs: Any) -> None:
        require_positive(head_dim=head_dim)
        if head_dim % 2:
            raise ValueError(
                f"Rotary positions rotate pairs: head_dim must be even. Received: {head_dim}"
            )
        super().__init__(max_length, **kwargs)
        self.head_dim = head_dim

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        rates = 10000 ** (-2 * np.arange(self.head_dim // 2) / self.head_dim)
        angle = np.arange(self.max_length)[:, None] * rates
        cos, sin = np.cos(angle), np.sin(angle)
        # In the form that `rotate` takes.
        self.cos = self._add_table("cos", np.concatenate([cos, cos], axis=1))
        self.sin = self._add_table("sin", np.concatenate([-sin, sin], axis=1))

    def save_own_variables(self, store: Any) -> None:
        """Saves nothing: the tables follow from the configuration."""

    def load_own_variables(self, store: Any) -> None:
        """Loads nothing; files of earlier versions have tables of other shapes."""

    def call(self, inputs: Tensor, position: Tensor | None = None) -> Tensor:
        return inputs

    def rotation(
        self, length: int | Tensor | None = None, position: Tensor | None = None
    ) -> Rotation:
        """Returns cosines and signed sines, or one matrix `(B, 1, D, D)`.

        Cosines and sines are `(T, D)` for the first T positions, `(B, 1, 1, D)` for one.
        """
        tables = (ops.cast(table, self.compute_dtype) for table in (self.cos, self.sin))
        if position is None:
            cos, sin = (self._first_rows(table, length) for table in tables)
            return cos, sin
        row = ops.reshape(position, (-1, 1, 1))
        cos, sin = (take(table, row) for table in tables)
        if not get_lowering().fuse_projections:
            return cos, sin
        # One matrix, made once for all layers.
        identity = np.eye(self.head_dim, dtype="float32")
        return identity * cos + np.roll(identity, self.head_dim // 2, axis=1) * sin

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "head_dim": self.head_dim}


def rotate(x: Tensor, rotation: Rotation | None) -> Tensor:
    """Rotates queries or keys `(B, nh, T, D)` by `RotaryPositions.rotation`; None does nothing."""
    if rotation is None:
        return x
    if not isinstance(rotation, tuple):
        return ops.matmul(x, rotation)
    cos, sin = rotation
    # The last axis by its number: a converter may not know the rank inside a loop.
    first, second = ops.split(x, 2, axis=3)
    return x * cos + ops.concatenate([second, first], axis=3) * sin
