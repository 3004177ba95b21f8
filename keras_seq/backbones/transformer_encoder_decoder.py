"""A Transformer that reads one text and writes another."""

from typing import Any

import keras
from keras import ops

from keras_seq.backbones.encoder_decoder import EncoderDecoder, Memory
from keras_seq.errors import require_positive
from keras_seq.layers import (
    LayerNormalization,
    SinusoidalPositions,
    TransformerDecoder,
    TransformerEncoder,
)
from keras_seq.layers.cache import CachePosition, empty_mask, extend_mask
from keras_seq.typing import State, Tensor


@keras.saving.register_keras_serializable("keras_seq")
class TransformerEncoderDecoder(EncoderDecoder):
    """Pre-norm Transformer blocks with sinusoidal positions (Vaswani et al. 2017; normalisation
    before each sub-layer: Wang et al. 2019).

    Its inputs have about unit variance, as those of `TokenEmbedding(..., scaled=True)` have.

    The memory is the keys and values of the source in each block of the decoder, the state the
    position and each block's cache.

    Args:
        hidden_dim: Width of the inputs and the hidden vectors.
        num_layers: Number of blocks of the encoder, and of the decoder.
        num_heads: Number of heads of each attention.
        intermediate_dim: Width of the feed-forward networks; 4 × `hidden_dim` by default.
        max_length: Number of positions: the longest source, and the longest target.
        dropout: Share of the activations dropped, in training only.
    """

    kind = "transformer"

    def __init__(
        self,
        hidden_dim: int = 128,
        num_layers: int = 4,
        num_heads: int = 4,
        intermediate_dim: int | None = None,
        max_length: int = 128,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        require_positive(num_layers=num_layers, num_heads=num_heads, max_length=max_length)
        super().__init__(hidden_dim, dropout, **kwargs)
        if hidden_dim % num_heads:
            raise ValueError(
                f"hidden_dim must divide by num_heads. Received: hidden_dim={hidden_dim}, "
                f"num_heads={num_heads}"
            )
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim or 4 * hidden_dim
        self.max_length = max_length
        policy = self.dtype_policy
        self.positions = SinusoidalPositions(
            max_length, scaled=False, dtype=policy, name="positions"
        )
        options = {"dropout": dropout, "dtype": policy}
        self.encoder_blocks = [
            TransformerEncoder(num_heads, self.intermediate_dim, name=f"encoder_{i}", **options)
            for i in range(num_layers)
        ]
        self.decoder_blocks = [
            TransformerDecoder(num_heads, self.intermediate_dim, name=f"decoder_{i}", **options)
            for i in range(num_layers)
        ]
        norm = {"epsilon": 1e-5, "dtype": policy}
        self.encoder_norm = LayerNormalization(name="encoder_norm", **norm)
        self.decoder_norm = LayerNormalization(name="decoder_norm", **norm)

    def build(self, input_shape: tuple[tuple[int | None, ...], ...]) -> None:
        source, target = input_shape
        for layer in (self.positions, *self.encoder_blocks, self.encoder_norm, self.decoder_norm):
            layer.build(source)
        for block in self.decoder_blocks:
            block.build(target, source)

    def _add_positions(self, inputs: Tensor, training: bool) -> Tensor:
        return self.dropout(self.positions(inputs), training=training)

    def encode(self, source: Tensor, source_mask: Tensor, training: bool = False) -> Memory:
        hidden = self._add_positions(source, training)
        for block in self.encoder_blocks:
            hidden = block(hidden, mask=source_mask, training=training)
        hidden = self.encoder_norm(hidden)
        memory = {}
        for i, block in enumerate(self.decoder_blocks):
            keys, values = block.memory(hidden)
            memory |= {f"memory_{i}_key": keys, f"memory_{i}_value": values}
        return memory

    def decode(
        self, target: Tensor, memory: Memory, source_mask: Tensor, training: bool = False
    ) -> Tensor:
        hidden = self._add_positions(target, training)
        for i, block in enumerate(self.decoder_blocks):
            hidden = block.decode(hidden, _key_value(memory, i), source_mask, training)
        return self.decoder_norm(hidden)

    def initial_state(self, memory: Memory, cache_length: int | None) -> State:
        if cache_length is not None and cache_length > self.max_length:
            raise ValueError(
                f"{self.name} has {self.max_length} positions. Received: "
                f"cache_length={cache_length}"
            )
        rows = ops.shape(memory["memory_0_key"])[0]
        state = {"position": ops.zeros((rows,), dtype="int32")}
        if cache_length is None:
            state["mask"] = empty_mask(rows)
        for i, block in enumerate(self.decoder_blocks):
            keys, values = block.initial_state(rows, cache_length)
            state |= {f"layer_{i}_key": keys, f"layer_{i}_value": values}
        return state

    def step(
        self, inputs: Tensor, state: State, memory: Memory, source_mask: Tensor, beams: int = 1
    ) -> tuple[Tensor, State]:
        position = state["position"]
        hidden = self.positions(inputs, position=position)
        new_state = {"position": position + 1}
        if "mask" in state:
            new_state["mask"] = extend_mask(state["mask"], position)
            place = CachePosition.after(position)  # There is no padding: it may look at all.
        else:
            place = CachePosition.at(position, state["layer_0_key"].shape[2])
        for i, block in enumerate(self.decoder_blocks):
            cache = (state[f"layer_{i}_key"], state[f"layer_{i}_value"])
            hidden, (keys, values) = block.step(
                hidden, cache, place, _key_value(memory, i), source_mask, beams
            )
            new_state |= {f"layer_{i}_key": keys, f"layer_{i}_value": values}
        return self.decoder_norm(hidden), new_state

    def cross_attention(self, target: Tensor, memory: Memory, source_mask: Tensor) -> Tensor:
        """Returns the mean over all blocks and heads, `(B, T, S)` float32."""
        hidden = self._add_positions(target, False)
        weights = []
        for i, block in enumerate(self.decoder_blocks):
            key_value = _key_value(memory, i)
            weights.append(
                ops.mean(block.cross_attention_weights(hidden, key_value, source_mask), axis=1)
            )
            hidden = block.decode(hidden, key_value, source_mask)
        return ops.cast(sum(weights) / len(weights), "float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "max_length": self.max_length,
        }


def _key_value(memory: Memory, i: int) -> tuple[Tensor, Tensor]:
    return memory[f"memory_{i}_key"], memory[f"memory_{i}_value"]
