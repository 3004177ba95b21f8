"""Stacked RNN or LSTM layers over an embedding."""

from typing import Any

import keras
from keras import ops

from keras_seq.backbones.backbone import Backbone, not_padding, within
from keras_seq.errors import require_positive
from keras_seq.layers import LSTM, RNN, Bidirectional
from keras_seq.typing import State, Tensor

CELLS = {"rnn": RNN, "lstm": LSTM}


@keras.saving.register_keras_serializable("keras_seq")
class RecurrentBackbone(Backbone):
    """An embedding and `num_layers` recurrent layers. The state is each layer's `h` (and `c`).

    Args:
        vocabulary_size: Number of token ids; 0 is padding, at the end of a sequence.
        hidden_dim: Width of the output; both directions share it where there are two.
        cell: "rnn" or "lstm".
        num_layers: Recurrent layers.
        embedding_dim: Width of the embedding; `hidden_dim` by default.
        bidirectional: Read the sequence in both directions. Such a backbone has no `step`.
        dropout: Share dropped of the embedding and of each layer's output. Training only.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_dim: int = 128,
        cell: str = "lstm",
        num_layers: int = 1,
        embedding_dim: int | None = None,
        bidirectional: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        require_positive(num_layers=num_layers)
        super().__init__(vocabulary_size, hidden_dim, dropout, **kwargs)
        if cell not in CELLS:
            raise ValueError(f"cell is one of {sorted(CELLS)}. Received: {cell!r}")
        if bidirectional and hidden_dim % 2:
            raise ValueError(
                "Two directions share hidden_dim: it must be even. Received: "
                f"hidden_dim={hidden_dim}"
            )
        self.cell = cell
        self.num_layers = num_layers
        self.embedding_dim = embedding_dim or hidden_dim
        self.bidirectional = bidirectional
        self.causal = not bidirectional
        self.embedding = keras.layers.Embedding(
            vocabulary_size, self.embedding_dim, dtype=self.dtype_policy, name="embedding"
        )
        units = hidden_dim // 2 if bidirectional else hidden_dim
        self.recurrent_layers = []
        for i in range(num_layers):
            layer = CELLS[cell](
                units, return_sequences=True, dtype=self.dtype_policy, name=f"{cell}_{i}"
            )
            self.recurrent_layers.append(
                Bidirectional(layer, dtype=self.dtype_policy) if bidirectional else layer
            )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.embedding.build(input_shape)
        shape = (*input_shape, self.embedding_dim)
        for layer in self.recurrent_layers:
            layer.build(shape)
            shape = (*input_shape, self.hidden_dim)

    def call(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Maps `(B, T)` int32 to `(B, T, hidden_dim)`."""
        # Padding stands at the end, where one that reads forwards does not come from any token.
        mask = None if self.causal else not_padding(token_ids)
        hidden = self.dropout(self.embedding(token_ids), training=training)
        for layer in self.recurrent_layers:
            hidden = layer(hidden, mask=mask, training=training)
            hidden = self.dropout(hidden, training=training)
        return hidden

    def initial_state(self, batch_size: int | Tensor, max_length: int | None) -> State:
        self.require_causal()
        state = {}
        for i, layer in enumerate(self.recurrent_layers):
            values = layer.initial_state(batch_size)
            state |= dict(zip(self._names(i), values, strict=True))
        return state

    def step(self, token_ids: Tensor, state: State) -> tuple[Tensor, State]:
        self.require_causal()
        hidden = self.embedding(token_ids)
        is_token = not_padding(token_ids)[:, None]
        new_state = {}
        for i, layer in enumerate(self.recurrent_layers):
            names = self._names(i)
            _, values = layer.step(hidden, tuple(state[name] for name in names))
            for name, value in zip(names, values, strict=True):
                new_state[name] = ops.where(is_token, value, state[name])
            hidden = new_state[names[0]]
        return hidden, new_state

    def prefill(
        self, token_ids: Tensor, length: Tensor, max_length: int | None
    ) -> tuple[Tensor, State]:
        self.require_causal()
        mask = ops.logical_and(not_padding(token_ids), within(token_ids, length))
        hidden = self.embedding(token_ids)
        state = {}
        last = len(self.recurrent_layers) - 1
        for i, layer in enumerate(self.recurrent_layers):
            hidden, values = layer.scan(hidden, mask=mask, sequence=i < last)
            state |= dict(zip(self._names(i), values, strict=True))
        return state[self._names(last)[0]], state

    def levels(self) -> list[list[keras.layers.Layer]]:
        return [[self.embedding], *([layer] for layer in self.recurrent_layers)]

    def _names(self, i: int) -> list[str]:
        return [f"layer_{i}_{name}" for name in CELLS[self.cell].state_names]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cell": self.cell,
            "num_layers": self.num_layers,
            "embedding_dim": self.embedding_dim,
            "bidirectional": self.bidirectional,
        }
