"""What an encoder-decoder is: a decoder's step function over what an encoder has read."""

from typing import Any

import keras

from keras_seq.errors import require_positive
from keras_seq.layers import Dropout
from keras_seq.typing import State, Tensor

Memory = dict[str, Tensor]


class EncoderDecoder(keras.layers.Layer):
    """Token ids of a source and of a target to hidden vectors of the target, all at once or one
    position at a time.

        hidden        = model((source_ids, target_ids))            (B, S), (B, T) -> (B, T, D)
        memory        = model.encode(source_ids)                   what `step` reads of the source
        state         = model.initial_state(memory, max_length)
        hidden, state = model.step(token_ids, state, memory)       (B,) -> (B, D)

    Both ways compute the same. Memory and state are flat dicts of named tensors, batch first. A
    source may have K targets, the beams of a search: then the state has B · K rows. Source and
    target share one embedding. Token id 0 is padding.

    Args:
        vocabulary_size: Number of token ids.
        hidden_dim: Width D.
        dropout: Share dropped. Training only.
    """

    def __init__(
        self, vocabulary_size: int, hidden_dim: int, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        require_positive(vocabulary_size=vocabulary_size, hidden_dim=hidden_dim)
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.dropout_rate = dropout
        self.dropout = Dropout(dropout, dtype=self.dtype_policy)
        self.embedding = keras.layers.Embedding(
            vocabulary_size,
            hidden_dim,
            # Of the size that a softmax over the same weights begins with.
            embeddings_initializer=keras.initializers.RandomNormal(stddev=hidden_dim**-0.5),
            dtype=self.dtype_policy,
            name="embedding",
        )

    def embedded(self, token_ids: Tensor) -> Tensor:
        """Ids `(…)` to vectors `(…, D)` of about unit variance (Vaswani et al. 2017, 3.4)."""
        return self.embedding(token_ids) * self.hidden_dim**0.5

    def encode(self, source_ids: Tensor, training: bool = False) -> Memory:
        """A source `(B, S)` int32, read once."""
        raise NotImplementedError

    def decode(self, target_ids: Tensor, memory: Memory, training: bool = False) -> Tensor:
        """A whole target `(B, T)` int32 after what `encode` gave: `(B, T, D)`."""
        raise NotImplementedError

    def initial_state(self, memory: Memory, max_length: int | None) -> State:
        """The state before the first token of the target, which has `max_length` at most; None for
        a state that grows.
        """
        raise NotImplementedError

    def step(
        self, token_ids: Tensor, state: State, memory: Memory, beams: int = 1
    ) -> tuple[Tensor, State]:
        """One token of each target: `(B · K,)` int32 in, `(B · K, D)` and a state out, K being
        `beams`.
        """
        raise NotImplementedError

    def attention(self, target_ids: Tensor, memory: Memory) -> Tensor:
        """How much each position of a target `(B, T)` looks at each of the source: `(B, T, S)`
        float32, of which each row sums to 1.
        """
        raise NotImplementedError

    def call(self, inputs: tuple[Tensor, Tensor], training: bool = False) -> Tensor:
        """Maps source ids `(B, S)` and target ids `(B, T)`, int32, to `(B, T, D)`."""
        source_ids, target_ids = inputs
        return self.decode(target_ids, self.encode(source_ids, training), training)

    def compute_output_shape(
        self, input_shape: tuple[tuple[int | None, ...], ...]
    ) -> tuple[int | None, ...]:
        return (*input_shape[1], self.hidden_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout_rate,
        }
