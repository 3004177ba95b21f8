"""Stacked Transformer blocks."""

from typing import Any

import keras
from keras import ops

from keras_seq.backbones.backbone import Backbone, length_mask, take_last
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
    """Positions and `num_layers` pre-norm Transformer blocks.

    The state is the position and, for each layer, a cache of keys and values.

    Args:
        hidden_dim: Width of the inputs and the hidden vectors.
        num_layers: Number of blocks.
        num_heads: Number of heads of each block's attention.
        intermediate_dim: Width of the feed-forward networks; 4 × `hidden_dim` by default.
        max_length: Number of positions: the longest sequence.
        positions: "learned", "sinusoidal" or "rotary".
        causal: Position t attends to positions up to t. Only such a backbone has a `step`.
        dropout: Share of the activations dropped, in training only.
        scaled: Where positions are sinusoidal, multiply the inputs by `hidden_dim ** 0.5` first;
            see `keras_seq.layers.SinusoidalPositions`.
    """

    kind = "transformer"

    def __init__(
        self,
        hidden_dim: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        intermediate_dim: int | None = None,
        max_length: int = 512,
        positions: str = "learned",
        causal: bool = False,
        dropout: float = 0.0,
        scaled: bool = True,
        **kwargs: Any,
    ) -> None:
        require_positive(num_layers=num_layers, num_heads=num_heads, max_length=max_length)
        super().__init__(hidden_dim, dropout, **kwargs)
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
        self.scaled = scaled
        policy = self.dtype_policy
        options = {"max_length": max_length, "dtype": policy, "name": "positions"}
        if positions == "rotary":
            self.positions = RotaryPositions(head_dim=hidden_dim // num_heads, **options)
        elif positions == "sinusoidal":
            self.positions = SinusoidalPositions(scaled=scaled, **options)
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
        if input_shape[-1] != self.hidden_dim:
            raise ValueError(
                f"{self.name} reads vectors of its own width, {self.hidden_dim}. Received: "
                f"{input_shape[-1]}"
            )
        for layer in (self.positions, *self.blocks, self.norm):
            layer.build(input_shape)

    def call(self, inputs: Tensor, mask: Tensor | None = None, training: bool = False) -> Tensor:
        """Maps `(B, T, hidden_dim)` to the same shape."""
        if self.causal:
            mask = None  # Padding stands at the end: a token never attends to it.
        hidden = self.dropout(self.positions(inputs), training=training)
        rotation = self.positions.rotation(ops.shape(inputs)[1])
        for block in self.blocks:
            hidden = block(hidden, mask=mask, training=training, rotation=rotation)
        return self.norm(hidden)

    def initial_state(self, batch_size: int | Tensor, cache_length: int | None) -> State:
        self.require_causal()
        if cache_length is not None and cache_length > self.max_length:
            raise ValueError(
                f"{self.name} has {self.max_length} positions. Received: "
                f"cache_length={cache_length}"
            )
        state = {"position": ops.zeros((batch_size,), dtype="int32")}
        if cache_length is None:
            state["mask"] = empty_mask(batch_size)
        for i, block in enumerate(self.blocks):
            keys, values = block.initial_state(batch_size, cache_length)
            state |= {f"layer_{i}_key": keys, f"layer_{i}_value": values}
        return state

    def step(
        self, inputs: Tensor, state: State, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        self.require_causal()
        position = state["position"]
        hidden = self.positions(inputs, position=position)
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
        self,
        inputs: Tensor,
        length: Tensor,
        cache_length: int | None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        self.require_causal()
        hidden = self.positions(inputs)
        rotation = self.positions.rotation(ops.shape(inputs)[1])
        state = {"position": length}
        if cache_length is None:
            # Padding is not attended to, (B, 1, 1, T).
            is_prompt = length_mask(ops.shape(inputs)[1], length)
            state["mask"] = ops.expand_dims(is_prompt, axis=(1, 2))
        for i, block in enumerate(self.blocks):
            hidden, (keys, values) = block.prefill(hidden, cache_length, rotation)
            state |= {f"layer_{i}_key": keys, f"layer_{i}_value": values}
        return self.norm(take_last(hidden, length)), state

    def layer_groups(self) -> list[list[keras.layers.Layer]]:
        *lower, top = ([block] for block in self.blocks)
        return [[self.positions], *lower, [*top, self.norm]]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "max_length": self.max_length,
            "positions": self.position_kind,
            "causal": self.causal,
            "scaled": self.scaled,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TransformerBackbone":
        # Files from before the argument added positions to the inputs as they were.
        return cls(**{"scaled": False, **config})
