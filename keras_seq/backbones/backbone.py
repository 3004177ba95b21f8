"""What a backbone is: a sequence model as a step function with explicit state."""

from typing import Any

import keras
from keras import ops

from keras_seq.errors import require_positive
from keras_seq.layers import Dropout
from keras_seq.typing import State, Tensor


class Backbone(keras.layers.Layer):
    """Vectors to hidden vectors, the whole sequence at once or one position at a time.

        hidden        = backbone(inputs, mask)                      (B, T, D) -> (B, T, hidden_dim)
        state         = backbone.initial_state(batch_size, cache_length)
        hidden, state = backbone.step(inputs, state, mask)          (B, D) -> (B, hidden_dim)
        hidden, state = backbone.prefill(inputs, length, cache_length, mask)

    All ways compute the same. The state is a flat dict of named tensors, batch first, so that it
    can be an input and an output of an exported function. A mask is boolean and False where a
    position is padding, which stands at the end of a sequence.

    Args:
        hidden_dim: Width of the hidden vectors.
        dropout: Share of the activations dropped between layers, in training only.

    Attributes:
        kind: Name of the architecture: "rnn", "lstm" or "transformer".
        causal: Whether a position depends on earlier ones only. Such a backbone has a `step`.
        max_length: Number of positions; None where a sequence has any length.
    """

    kind: str
    causal = True
    max_length: int | None = None

    def __init__(self, hidden_dim: int, dropout: float = 0.0, **kwargs: Any) -> None:
        require_positive(hidden_dim=hidden_dim)
        super().__init__(**kwargs)
        self.supports_masking = True
        self.hidden_dim = hidden_dim
        self.dropout_rate = dropout
        self.dropout = Dropout(dropout, dtype=self.dtype_policy)

    def initial_state(self, batch_size: int | Tensor, cache_length: int | None) -> State:
        """Returns the state before the first position.

        Args:
            batch_size: Number of rows.
            cache_length: Positions of the caches; None for caches that grow with each step.
        """
        raise NotImplementedError

    def step(
        self, inputs: Tensor, state: State, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Computes one position.

        Args:
            inputs: `(B, D)`.
            state: The state before it.
            mask: `(B,)` boolean. Where it is False, a recurrent state stays as it is.

        Returns:
            `(hidden, state)`: `(B, hidden_dim)` and the state after it.
        """
        raise NotImplementedError

    def prefill(
        self,
        inputs: Tensor,
        length: Tensor,
        cache_length: int | None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Computes a whole prompt at once.

        Args:
            inputs: `(B, T, D)`.
            length: `(B,)` int32, 1 or more: how many positions of each row are its prompt.
            cache_length: As for `initial_state`, at least T.
            mask: `(B, T)` boolean, as for `step`.

        Returns:
            `(hidden, state)` after the last position of each prompt, `(B, hidden_dim)`.
        """
        raise NotImplementedError

    def layer_groups(self) -> list[list[keras.layers.Layer]]:
        """Returns the layers from the bottom up, grouped by depth.

        The first group is at the depth of the embedding: the positions, if there are any.
        """
        raise NotImplementedError

    def require_causal(self) -> None:
        """Raises ValueError if a position depends on later ones, so that there is no step."""
        if not self.causal:
            raise ValueError(
                f"{self.name} reads a sequence in both directions: it has no step function. "
                "Build it with bidirectional=False (recurrent) or causal=True (transformer)."
            )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.hidden_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout_rate,
        }


def take_last(hidden: Tensor, length: Tensor) -> Tensor:
    """Returns the vectors at the last positions: `(B, T, D)` and lengths `(B,)` to `(B, D)`."""
    last = ops.expand_dims(length - 1, axis=(1, 2))
    return ops.squeeze(ops.take_along_axis(hidden, last, axis=1), axis=1)


def length_mask(size: int | Tensor, length: Tensor) -> Tensor:
    """Returns `(B, size)` boolean, True at the first `length`, `(B,)`, positions of each row."""
    positions = ops.arange(size, dtype="int32")
    return ops.expand_dims(positions, axis=0) < ops.expand_dims(length, axis=1)
