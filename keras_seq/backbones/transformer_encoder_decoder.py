"""A Transformer that reads one text and writes another."""

from typing import Any

import keras
from keras import ops

from keras_seq.backbones.backbone import not_padding
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
    """Pre-norm Transformer blocks over one embedding with sinusoidal positions (Vaswani et al.
    2017; before which they normalise: Wang et al. 2019).

    The memory is the keys and values of the source in each block of the decoder, the state the
    position and each block's cache.

    Args:
        vocabulary_size: Number of token ids; 0 is padding, at the end of a sequence.
        hidden_dim: Width.
        num_layers: Blocks of the encoder, and as many of the decoder.
        num_heads: Heads of each attention.
        intermediate_dim: Width of the feed-forward networks; 4 × `hidden_dim` by default.
        max_length: Number of positions: the longest source, and the longest target.
        dropout: Share dropped. Training only.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_dim: int = 128,
        num_layers: int = 4,
        num_heads: int = 4,
        intermediate_dim: int | None = None,
        max_length: int = 128,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        require_positive(num_layers=num_layers, num_heads=num_heads, max_length=max_length)
        super().__init__(vocabulary_size, hidden_dim, dropout, **kwargs)
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
        self.positions = SinusoidalPositions(max_length, dtype=policy, name="positions")
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
        self.embedding.build(input_shape[0])
        source, target = ((*shape, self.hidden_dim) for shape in input_shape)
        for layer in (self.positions, *self.encoder_blocks, self.encoder_norm, self.decoder_norm):
            layer.build(source)
        for block in self.decoder_blocks:
            block.build(target, source)

    def _embedded(self, token_ids: Tensor, training: bool) -> Tensor:
        return self.dropout(self.positions(self.embedded(token_ids)), training=training)

    def encode(self, source_ids: Tensor, training: bool = False) -> Memory:
        mask = not_padding(source_ids)
        hidden = self._embedded(source_ids, training)
        for block in self.encoder_blocks:
            hidden = block(hidden, mask=mask, training=training)
        hidden = self.encoder_norm(hidden)
        memory = {"source_ids": source_ids}
        for i, block in enumerate(self.decoder_blocks):
            keys, values = block.memory(hidden)
            memory |= {f"memory_{i}_key": keys, f"memory_{i}_value": values}
        return memory

    def decode(self, target_ids: Tensor, memory: Memory, training: bool = False) -> Tensor:
        hidden = self._embedded(target_ids, training)
        seen = not_padding(memory["source_ids"])
        for i, block in enumerate(self.decoder_blocks):
            hidden = block.decode(hidden, _of_block(memory, i), seen, training)
        return self.decoder_norm(hidden)

    def initial_state(self, memory: Memory, max_length: int | None) -> State:
        if max_length is not None and max_length > self.max_length:
            raise ValueError(
                f"{self.name} has {self.max_length} positions. Received: max_length={max_length}"
            )
        rows = ops.shape(memory["source_ids"])[0]
        state = {"position": ops.zeros_like(memory["source_ids"][:, 0])}
        if max_length is None:
            state["mask"] = empty_mask(rows)
        for i, block in enumerate(self.decoder_blocks):
            keys, values = block.initial_state(rows, max_length)
            state |= {f"layer_{i}_key": keys, f"layer_{i}_value": values}
        return state

    def step(
        self, token_ids: Tensor, state: State, memory: Memory, beams: int = 1
    ) -> tuple[Tensor, State]:
        position = state["position"]
        hidden = self.positions(self.embedded(token_ids), position=position)
        seen = not_padding(memory["source_ids"])
        new_state = {"position": position + 1}
        if "mask" in state:
            new_state["mask"] = extend_mask(state["mask"], position)
            place = CachePosition.after(position)  # There is no padding: it may look at all.
        else:
            place = CachePosition.at(position, state["layer_0_key"].shape[2])
        for i, block in enumerate(self.decoder_blocks):
            cache = (state[f"layer_{i}_key"], state[f"layer_{i}_value"])
            hidden, (keys, values) = block.step(
                hidden, cache, place, _of_block(memory, i), seen, beams
            )
            new_state |= {f"layer_{i}_key": keys, f"layer_{i}_value": values}
        return self.decoder_norm(hidden), new_state

    def attention(self, target_ids: Tensor, memory: Memory) -> Tensor:
        """The mean over all blocks and heads."""
        hidden = self._embedded(target_ids, False)
        seen = not_padding(memory["source_ids"])
        found = []
        for i, block in enumerate(self.decoder_blocks):
            kept = _of_block(memory, i)
            found.append(ops.mean(block.cross_attention_weights(hidden, kept, seen), axis=1))
            hidden = block.decode(hidden, kept, seen)
        return ops.cast(sum(found) / len(found), "float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "max_length": self.max_length,
        }


def _of_block(memory: Memory, i: int) -> tuple[Tensor, Tensor]:
    return memory[f"memory_{i}_key"], memory[f"memory_{i}_value"]
