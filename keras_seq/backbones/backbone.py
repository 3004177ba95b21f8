"""What a backbone is: a sequence model as a step function with explicit state."""

from typing import Any

import keras
from keras import ops

from keras_seq.errors import require_positive
from keras_seq.layers import Dropout

Tensor = Any
State = dict[str, Tensor]


class Backbone(keras.layers.Layer):
    """Token ids to hidden vectors, the whole sequence at once or one position at a time.

        hidden        = backbone(token_ids)                       (B, T) -> (B, T, hidden_dim)
        state         = backbone.initial_state(batch_size, max_length)
        hidden, state = backbone.step(token_ids, state)           (B,) -> (B, hidden_dim)

    Both ways compute the same. The state is a flat dict of named tensors, batch first, so that it
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

    def initial_state(self, batch_size: int | Tensor, max_length: int) -> State:
        """The state before the first token; `max_length` bounds the positions to come."""
        raise NotImplementedError

    def step(self, token_ids: Tensor, state: State) -> tuple[Tensor, State]:
        """One position: `(B,)` int32 ids and a state in, `(B, hidden_dim)` and a state out."""
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


def not_padding(token_ids: Tensor) -> Tensor:
    """Boolean, True where an id is a token."""
    return ops.not_equal(token_ids, 0)
