"""An RNN or LSTM that reads one text and writes another, attending to what it reads."""

from typing import Any

import keras
from keras import ops

from keras_seq.backbones.encoder_decoder import EncoderDecoder, Memory
from keras_seq.backbones.recurrent import CELLS
from keras_seq.errors import require_positive
from keras_seq.layers import Bidirectional, MultiHeadAttention
from keras_seq.typing import State, Tensor


@keras.saving.register_keras_serializable("keras_seq")
class RecurrentEncoderDecoder(EncoderDecoder):
    """A bidirectional encoder, and a decoder whose first layer attends to it.

        h_t = cell(y_t, h_{t-1})
        c_t = attention(h_t, encoded)
        x_t = tanh(W [h_t; c_t])                             (Luong et al. 2015, equation 5)

    Further layers read x_t, each with a residual. The first states of the decoder are
    tanh(W mean(encoded)) (Bahdanau et al. 2015, appendix A.2.2); a cell state begins with zeros.

    The memory is the keys and values of the source, and that mean; the state is each layer's `h`
    (and `c`).

    Args:
        hidden_dim: Width, even: the encoder's two directions share it.
        cell: "rnn" or "lstm".
        num_layers: Number of recurrent layers of the encoder, and of the decoder.
        num_heads: Number of heads of the attention.
        dropout: Share of the activations dropped, in training only.
    """

    def __init__(
        self,
        hidden_dim: int = 256,
        cell: str = "lstm",
        num_layers: int = 1,
        num_heads: int = 4,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        require_positive(num_layers=num_layers, num_heads=num_heads)
        super().__init__(hidden_dim, dropout, **kwargs)
        if cell not in CELLS:
            raise ValueError(f"cell is one of {sorted(CELLS)}. Received: {cell!r}")
        if hidden_dim % 2 or hidden_dim % num_heads:
            raise ValueError(
                "hidden_dim is even and divides by num_heads. Received: "
                f"hidden_dim={hidden_dim}, num_heads={num_heads}"
            )
        self.kind = self.cell = cell
        self.num_layers = num_layers
        self.num_heads = num_heads
        policy = self.dtype_policy

        def layer(units: int, name: str) -> Any:
            return CELLS[cell](units, return_sequences=True, dtype=policy, name=name)

        self.encoder_layers = [
            Bidirectional(layer(hidden_dim // 2, f"encoder_{i}"), dtype=policy)
            for i in range(num_layers)
        ]
        self.decoder_layers = [layer(hidden_dim, f"decoder_{i}") for i in range(num_layers)]
        self.attention_layer = MultiHeadAttention(
            num_heads, hidden_dim // num_heads, dtype=policy, name="attention"
        )
        dense = {"activation": "tanh", "dtype": policy}
        self.combine = keras.layers.Dense(hidden_dim, name="combine", **dense)
        self.bridges = [
            keras.layers.Dense(hidden_dim, name=f"bridge_{i}", **dense) for i in range(num_layers)
        ]

    def build(self, input_shape: tuple[tuple[int | None, ...], ...]) -> None:
        source, target = input_shape
        for layer in self.encoder_layers:
            layer.build(source)
        for layer in self.decoder_layers:
            layer.build(target)
        self.attention_layer.build(target, source)
        self.combine.build((*target[:-1], 2 * self.hidden_dim))
        for bridge in self.bridges:
            bridge.build((None, self.hidden_dim))

    def encode(self, source: Tensor, source_mask: Tensor, training: bool = False) -> Memory:
        hidden = self.dropout(source, training=training)
        for layer in self.encoder_layers:
            # Zeros where the source is padding.
            hidden = layer(hidden, mask=source_mask, training=training)
            hidden = self.dropout(hidden, training=training)
        count = ops.sum(ops.cast(source_mask, hidden.dtype), axis=1, keepdims=True)
        keys, values = self.attention_layer.project_key_value(hidden)
        return {
            "memory_key": keys,
            "memory_value": values,
            "memory_mean": ops.sum(hidden, axis=1) / ops.maximum(count, 1),
        }

    def _combine(self, hidden: Tensor, context: Tensor) -> Tensor:
        return self.combine(ops.concatenate([hidden, context], axis=-1))

    def decode(
        self, target: Tensor, memory: Memory, source_mask: Tensor, training: bool = False
    ) -> Tensor:
        state = self.initial_state(memory, 0)
        hidden = self.dropout(target, training=training)
        for i, layer in enumerate(self.decoder_layers):
            values = tuple(state[name] for name in self._state_names(i))
            new, _ = layer.scan(hidden, values, training=training)
            if i == 0:
                query = self.attention_layer.project_query(new)
                mask = _key_mask(source_mask)
                context = self.attention_layer.attend(query, *_key_value(memory), mask)
                new = self._combine(new, context)
            else:
                new = hidden + new
            hidden = self.dropout(new, training=training)
        return hidden

    def initial_state(self, memory: Memory, cache_length: int | None) -> State:
        state = {}
        for i, bridge in enumerate(self.bridges):
            first = bridge(memory["memory_mean"])
            others = [ops.zeros_like(first)] * (len(self._state_names(i)) - 1)
            state |= dict(zip(self._state_names(i), [first, *others], strict=True))
        return state

    def step(
        self, inputs: Tensor, state: State, memory: Memory, source_mask: Tensor, beams: int = 1
    ) -> tuple[Tensor, State]:
        hidden, new_state = inputs, {}
        for i, layer in enumerate(self.decoder_layers):
            names = self._state_names(i)
            new, values = layer.step(hidden, tuple(state[name] for name in names))
            new_state |= dict(zip(names, values, strict=True))
            if i == 0:
                context = self.attention_layer.attend_per_row(
                    new, _key_value(memory), _key_mask(source_mask), beams
                )
                hidden = self._combine(new, context)
            else:
                hidden = hidden + new
        return hidden, new_state

    def cross_attention(self, target: Tensor, memory: Memory, source_mask: Tensor) -> Tensor:
        """Returns the mean over all heads, `(B, T, S)` float32."""
        state = self.initial_state(memory, 0)
        values = tuple(state[name] for name in self._state_names(0))
        hidden, _ = self.decoder_layers[0].scan(target, values)
        query = self.attention_layer.project_query(hidden)
        weights = self.attention_layer.scores(query, memory["memory_key"], _key_mask(source_mask))
        return ops.cast(ops.mean(weights, axis=1), "float32")

    def _state_names(self, i: int) -> list[str]:
        return [f"layer_{i}_{name}" for name in CELLS[self.cell].state_names]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cell": self.cell,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
        }


def _key_value(memory: Memory) -> tuple[Tensor, Tensor]:
    return memory["memory_key"], memory["memory_value"]


def _key_mask(source_mask: Tensor) -> Tensor:
    return source_mask[:, None, None, :]  # (B, 1, 1, S)
