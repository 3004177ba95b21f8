"""What an encoder-decoder is: a decoder's step function over what an encoder has read."""

from typing import Any

import keras

from keras_seq.errors import require_positive
from keras_seq.layers import Dropout
from keras_seq.typing import State, Tensor

Memory = dict[str, Tensor]


class EncoderDecoder(keras.layers.Layer):
    """Vectors of a source and of a target to hidden vectors of the target, all at once or one
    position at a time.

        hidden        = backbone((source, target), source_mask)             (B, T, D)
        memory        = backbone.encode(source, source_mask)                what `step` reads
        state         = backbone.initial_state(memory, cache_length)
        hidden, state = backbone.step(inputs, state, memory, source_mask)   (B, D) -> (B, D)

    Both ways compute the same. Memory and state are flat dicts of named tensors, batch first. A
    source may have K targets, the beams of a search: then the state has B · K rows. The mask is
    `(B, S)` boolean, False where the source is padding, which stands at its end.

    Args:
        hidden_dim: Width D of the inputs and the hidden vectors.
        dropout: Share of the activations dropped, in training only.

    Attributes:
        kind: Name of the architecture: "rnn", "lstm" or "transformer".
        max_length: Number of positions; None where a text has any length.
    """

    kind: str
    max_length: int | None = None

    def __init__(self, hidden_dim: int, dropout: float = 0.0, **kwargs: Any) -> None:
        require_positive(hidden_dim=hidden_dim)
        super().__init__(**kwargs)
        self.supports_masking = True
        self.hidden_dim = hidden_dim
        self.dropout_rate = dropout
        self.dropout = Dropout(dropout, dtype=self.dtype_policy)

    def encode(self, source: Tensor, source_mask: Tensor, training: bool = False) -> Memory:
        """Reads a source `(B, S, D)` once."""
        raise NotImplementedError

    def decode(
        self, target: Tensor, memory: Memory, source_mask: Tensor, training: bool = False
    ) -> Tensor:
        """Computes a whole target `(B, T, D)` at once: `(B, T, D)`."""
        raise NotImplementedError

    def initial_state(self, memory: Memory, cache_length: int | None) -> State:
        """Returns the state before the first position of the target.

        Args:
            memory: The memory that `encode` returns.
            cache_length: Positions of the caches; None for caches that grow with each step.
        """
        raise NotImplementedError

    def step(
        self, inputs: Tensor, state: State, memory: Memory, source_mask: Tensor, beams: int = 1
    ) -> tuple[Tensor, State]:
        """Computes one position of each target: `(B · K, D)` to `(hidden, state)`, K being
        `beams`.
        """
        raise NotImplementedError

    def cross_attention(self, target: Tensor, memory: Memory, source_mask: Tensor) -> Tensor:
        """Returns how much each position of a target `(B, T, D)` attends to each of the source:
        `(B, T, S)` float32, whose rows sum to 1.
        """
        raise NotImplementedError

    def call(
        self, inputs: tuple[Tensor, Tensor], source_mask: Tensor, training: bool = False
    ) -> Tensor:
        """Maps a source `(B, S, D)` and a target `(B, T, D)` to `(B, T, D)`."""
        source, target = inputs
        memory = self.encode(source, source_mask, training)
        return self.decode(target, memory, source_mask, training)

    def compute_output_shape(
        self, input_shape: tuple[tuple[int | None, ...], ...]
    ) -> tuple[int | None, ...]:
        return (*input_shape[1][:-1], self.hidden_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout_rate,
        }
