"""What a backbone is: a sequence model as a step function with explicit state."""

from typing import Any

import keras
from keras import ops

from keras_seq.errors import require_positive
from keras_seq.layers import Dropout
from keras_seq.typing import State, Tensor


class Backbone(keras.layers.Layer):
    """Token ids to hidden vectors, the whole sequence at once or one position at a time.

        hidden        = backbone(token_ids)                       (B, T) -> (B, T, hidden_dim)
        state         = backbone.initial_state(batch_size, max_length)
        hidden, state = backbone.step(token_ids, state)           (B,) -> (B, hidden_dim)
        hidden, state = backbone.prefill(token_ids, length, max_length)

    All ways compute the same. The state is a flat dict of named tensors, batch first, so that it
    can be an input and an output of an exported function. Token id 0 is padding.

    Args:
        vocabulary_size: Number of token ids.
        hidden_dim: Width of the hidden vectors.
        dropout: Share dropped between layers. Training only.
    """

    causal = True

    def __init__(
        self, vocabulary_size: int, hidden_dim: int, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        require_positive(vocabulary_size=vocabulary_size, hidden_dim=hidden_dim)
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.dropout_rate = dropout
        self.dropout = Dropout(dropout, dtype=self.dtype_policy)

    def initial_state(self, batch_size: int | Tensor, max_length: int | None) -> State:
        """The state before the first token; `max_length` bounds the positions to come, and None
        makes a state that grows with each step where it holds them.
        """
        raise NotImplementedError

    def step(self, token_ids: Tensor, state: State) -> tuple[Tensor, State]:
        """One position: `(B,)` int32 ids and a state in, `(B, hidden_dim)` and a state out."""
        raise NotImplementedError

    def prefill(
        self, token_ids: Tensor, length: Tensor, max_length: int | None
    ) -> tuple[Tensor, State]:
        """A whole prompt at once.

        Args:
            token_ids: `(B, T)` int32.
            length: `(B,)` int32, from 1: how many ids of each row are its prompt.
            max_length: As for `initial_state`, at least T.

        Returns:
            `(hidden, state)`: those after the last id of each prompt, `(B, hidden_dim)`.
        """
        raise NotImplementedError

    def levels(self) -> list[list[keras.layers.Layer]]:
        """The layers from the embedding up, those of a level together."""
        raise NotImplementedError

    def require_causal(self) -> None:
        """Raises ValueError where a position depends on later ones, so that no step exists."""
        if not self.causal:
            raise ValueError(
                f"{self.name} reads a sequence in both directions: it has no step function. "
                "Build it with bidirectional=False (recurrent) or causal=True (transformer)."
            )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape, self.hidden_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout_rate,
        }


def at_end(hidden: Tensor, length: Tensor) -> Tensor:
    """The vectors at the last positions: `(B, T, D)` and lengths `(B,)` to `(B, D)`."""
    last = ops.expand_dims(length - 1, axis=(1, 2))
    return ops.squeeze(ops.take_along_axis(hidden, last, axis=1), axis=1)


def within(token_ids: Tensor, length: Tensor) -> Tensor:
    """`(B, T)` boolean, True where an id is one of the first `length`."""
    places = ops.arange(ops.shape(token_ids)[1], dtype="int32")
    return ops.expand_dims(places, axis=0) < ops.expand_dims(length, axis=1)


def not_padding(token_ids: Tensor) -> Tensor:
    """Boolean, True where an id is a token."""
    return ops.not_equal(token_ids, 0)
