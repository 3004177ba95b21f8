"""Transformer blocks over an embedding."""

from typing import Any

import keras
from keras import ops

from keras_seq.backbones.backbone import Backbone, at_end, not_padding, within
from keras_seq.errors import require_positive
from keras_seq.layers import (
    LayerNormalization,
    LearnedPositions,
    RotaryPositions,
    SinusoidalPositions,
    TransformerEncoder,
)
from keras_seq.layers.cache import CachePosition, empty_mask, extend_mask
from keras_seq.typing import State, Tensor

POSITIONS = ("learned", "rotary", "sinusoidal")


@keras.saving.register_keras_serializable("keras_seq")
class TransformerBackbone(Backbone):
    """An embedding with positions and `num_layers` pre-norm Transformer blocks.

    The state is the position and, for each layer, a cache of keys and values.

    Args:
        vocabulary_size: Number of token ids; 0 is padding, at the end of a sequence.
        hidden_dim: Width.
        num_layers: Blocks.
        num_heads: Heads of each block's attention.
        intermediate_dim: Width of the feed-forward network; 4 × `hidden_dim` by default.
        max_length: Number of positions: the longest sequence.
        positions: "learned", "sinusoidal" or "rotary".
        causal: Position t sees positions up to t. Only such a backbone has a `step`.
        dropout: Share dropped. Training only.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_dim: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        intermediate_dim: int | None = None,
        max_length: int = 512,
        positions: str = "learned",
        causal: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        require_positive(num_layers=num_layers, num_heads=num_heads, max_length=max_length)
        super().__init__(vocabulary_size, hidden_dim, dropout, **kwargs)
        if positions not in POSITIONS:
            raise ValueError(f"positions is one of {POSITIONS}. Received: {positions!r}")
        if hidden_dim % num_heads:
            raise ValueError(
                f"hidden_dim must divide by num_heads. Received: hidden_dim={hidden_dim}, "
                f"num_heads={num_heads}"
            )
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim or 4 * hidden_dim
        self.max_length = max_length
        self.position_kind = positions
        self.causal = causal
        policy = self.dtype_policy
        self.embedding = keras.layers.Embedding(
            vocabulary_size, hidden_dim, dtype=policy, name="embedding"
        )
        options = {"max_length": max_length, "dtype": policy, "name": "positions"}
        if positions == "rotary":
            self.positions = RotaryPositions(head_dim=hidden_dim // num_heads, **options)
        elif positions == "sinusoidal":
            self.positions = SinusoidalPositions(**options)
        else:
            self.positions = LearnedPositions(**options)
        self.blocks = [
            TransformerEncoder(
                num_heads,
                self.intermediate_dim,
                dropout=dropout,
                causal=causal,
                dtype=policy,
                name=f"block_{i}",
            )
            for i in range(num_layers)
        ]
        self.norm = LayerNormalization(epsilon=1e-5, dtype=policy, name="norm")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.embedding.build(input_shape)
        shape = (*input_shape, self.hidden_dim)
        for layer in (self.positions, *self.blocks, self.norm):
            layer.build(shape)

    def call(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Maps `(B, T)` int32 to `(B, T, hidden_dim)`."""
        # Padding stands at the end, where a causal block does not look from any token.
        mask = None if self.causal else not_padding(token_ids)
        hidden = self.positions(self.embedding(token_ids))
        hidden = self.dropout(hidden, training=training)
        rotation = self.positions.rotation(ops.shape(token_ids)[1])
        for block in self.blocks:
            hidden = block(hidden, mask=mask, training=training, rotation=rotation)
        return self.norm(hidden)

    def initial_state(self, batch_size: int | Tensor, max_length: int | None) -> State:
        self.require_causal()
        if max_length is not None and max_length > self.max_length:
            raise ValueError(
                f"{self.name} has {self.max_length} positions. Received: max_length={max_length}"
            )
        state = {"position": ops.zeros((batch_size,), dtype="int32")}
        if max_length is None:
            state["mask"] = empty_mask(batch_size)
        for i, block in enumerate(self.blocks):
            keys, values = block.initial_state(batch_size, max_length)
            state |= {f"layer_{i}_key": keys, f"layer_{i}_value": values}
        return state

    def step(self, token_ids: Tensor, state: State) -> tuple[Tensor, State]:
        self.require_causal()
        position = state["position"]
        hidden = self.positions(self.embedding(token_ids), position=position)
        rotation = self.positions.rotation(position=position)
        new_state = {"position": position + 1}
        if "mask" in state:
            new_state["mask"] = extend_mask(state["mask"], position)
            place = CachePosition.after(position, new_state["mask"], rotation)
        else:
            place = CachePosition.at(position, state["layer_0_key"].shape[2], rotation)
        for i, block in enumerate(self.blocks):
            cache = (state[f"layer_{i}_key"], state[f"layer_{i}_value"])
            hidden, (keys, values) = block.step(hidden, cache, place)
            new_state |= {f"layer_{i}_key": keys, f"layer_{i}_value": values}
        return self.norm(hidden), new_state

    def prefill(
        self, token_ids: Tensor, length: Tensor, max_length: int | None
    ) -> tuple[Tensor, State]:
        self.require_causal()
        hidden = self.positions(self.embedding(token_ids))
        rotation = self.positions.rotation(ops.shape(token_ids)[1])
        state = {"position": length}
        if max_length is None:
            # Not what only fills a row up, (B, 1, 1, T).
            state["mask"] = ops.expand_dims(within(token_ids, length), axis=(1, 2))
        for i, block in enumerate(self.blocks):
            hidden, (keys, values) = block.prefill(hidden, max_length, rotation)
            state |= {f"layer_{i}_key": keys, f"layer_{i}_value": values}
        return self.norm(at_end(hidden, length)), state

    def levels(self) -> list[list[keras.layers.Layer]]:
        *lower, top = ([block] for block in self.blocks)
        return [[self.embedding, self.positions], *lower, [*top, self.norm]]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "max_length": self.max_length,
            "positions": self.position_kind,
            "causal": self.causal,
        }
