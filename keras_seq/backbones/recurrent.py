"""Stacked RNN or LSTM layers."""

from typing import Any

import keras
from keras import ops

from keras_seq.backbones.backbone import Backbone, length_mask
from keras_seq.errors import require_positive
from keras_seq.layers import LSTM, RNN, Bidirectional
from keras_seq.typing import State, Tensor

CELLS = {"rnn": RNN, "lstm": LSTM}


@keras.saving.register_keras_serializable("keras_seq")
class RecurrentBackbone(Backbone):
    """`num_layers` recurrent layers. The state is each layer's `h` (and `c`).

    Args:
        hidden_dim: Width of the output; two directions share it.
        cell: "rnn" or "lstm".
        num_layers: Number of recurrent layers.
        bidirectional: Read the sequence in both directions. Such a backbone has no `step`.
        dropout: Share of the inputs and of each layer's output dropped, in training only.
    """

    def __init__(
        self,
        hidden_dim: int = 128,
        cell: str = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        require_positive(num_layers=num_layers)
        super().__init__(hidden_dim, dropout, **kwargs)
        if cell not in CELLS:
            raise ValueError(f"cell is one of {sorted(CELLS)}. Received: {cell!r}")
        if bidirectional and hidden_dim % 2:
            raise ValueError(
                "Two directions share hidden_dim: it must be even. Received: "
                f"hidden_dim={hidden_dim}"
            )
        self.kind = self.cell = cell
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.causal = not bidirectional
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
        shape = input_shape
        for layer in self.recurrent_layers:
            layer.build(shape)
            shape = (*input_shape[:-1], self.hidden_dim)

    def call(self, inputs: Tensor, mask: Tensor | None = None, training: bool = False) -> Tensor:
        """Maps `(B, T, D)` to `(B, T, hidden_dim)`."""
        if self.causal:
            mask = None  # Padding stands at the end: a token never reads it.
        hidden = self.dropout(inputs, training=training)
        for layer in self.recurrent_layers:
            hidden = layer(hidden, mask=mask, training=training)
            hidden = self.dropout(hidden, training=training)
        return hidden

    def initial_state(self, batch_size: int | Tensor, cache_length: int | None) -> State:
        self.require_causal()
        state = {}
        for i, layer in enumerate(self.recurrent_layers):
            values = layer.initial_state(batch_size)
            state |= dict(zip(self._state_names(i), values, strict=True))
        return state

    def step(
        self, inputs: Tensor, state: State, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        self.require_causal()
        hidden, new_state = inputs, {}
        for i, layer in enumerate(self.recurrent_layers):
            names = self._state_names(i)
            _, values = layer.step(hidden, tuple(state[name] for name in names))
            for name, value in zip(names, values, strict=True):
                new_state[name] = (
                    value if mask is None else ops.where(mask[:, None], value, state[name])
                )
            hidden = new_state[names[0]]
        return hidden, new_state

    def prefill(
        self,
        inputs: Tensor,
        length: Tensor,
        cache_length: int | None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        self.require_causal()
        is_prompt = length_mask(ops.shape(inputs)[1], length)
        mask = is_prompt if mask is None else ops.logical_and(mask, is_prompt)
        hidden, state = inputs, {}
        last = len(self.recurrent_layers) - 1
        for i, layer in enumerate(self.recurrent_layers):
            hidden, values = layer.scan(hidden, mask=mask, sequence=i < last)
            state |= dict(zip(self._state_names(i), values, strict=True))
        return state[self._state_names(last)[0]], state

    def layer_groups(self) -> list[list[keras.layers.Layer]]:
        return [[], *([layer] for layer in self.recurrent_layers)]

    def _state_names(self, i: int) -> list[str]:
        return [f"layer_{i}_{name}" for name in CELLS[self.cell].state_names]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cell": self.cell,
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
        }
