"""The Transformer's decoder block."""

from typing import Any

import keras

from keras_seq.layers.cache import CachePosition
from keras_seq.layers.transformer_block import TransformerBlock
from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class TransformerDecoder(TransformerBlock):
    """Causal self-attention, attention over an encoder's output, and a feed-forward network, each
    with a residual (Vaswani et al. 2017).

        x = x + attention(norm(x))                  position t sees positions up to t
        x = x + attention(norm(x), encoded)
        x = x + W_2 act(W_1 norm(x))

    With `norm_first=False`, norm(x + …) as in the original paper. `step` computes one position over
    a cache of the earlier ones and over `memory`, the encoder's output as keys and values.

    Shapes: `B` sequences, `T` positions, `S` positions of the encoder, `D` features.

    Args:
        num_heads: Number of heads of each attention, which divide the width of the input.
        intermediate_dim: Width of the feed-forward network.
        dropout: Share of each branch's output and of the attention to drop. Training only.
        activation: Activation of the feed-forward network.
        norm_first: Normalise before each branch, not after its sum.
        epsilon: Epsilon of the layer normalisations.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def build(
        self, inputs_shape: tuple[int | None, ...], encoded_shape: tuple[int | None, ...]
    ) -> None:
        self.attention, self.attention_norm = self._build_attention(
            "attention", inputs_shape, inputs_shape
        )
        self.cross_attention, self.cross_attention_norm = self._build_attention(
            "cross_attention", inputs_shape, encoded_shape
        )
        self._build_feed_forward(inputs_shape)

    def call(
        self,
        inputs: Tensor,
        encoded: Tensor,
        mask: Tensor | None = None,
        encoded_mask: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Computes a whole sequence.

        Args:
            inputs: `(B, T, D)`.
            encoded: `(B, S, D)`, the encoder's output.
            mask: `(B, T)` boolean, False where a position is padding.
            encoded_mask: `(B, S)` boolean, likewise.
            training: Apply dropout.

        Returns:
            `(B, T, D)`.
        """
        if isinstance(mask, (list, tuple)):  # Keras gives one for each tensor.
            mask, encoded_mask = mask[0], mask[1] if encoded_mask is None else encoded_mask

        return self.decode(inputs, self.memory(encoded), encoded_mask, training, mask)

    def decode(
        self,
        inputs: Tensor,
        memory: tuple[Tensor, Tensor],
        encoded_mask: Tensor | None = None,
        training: bool = False,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Does as `call`, with the encoder's output as keys and values, as from `memory`."""

        def attend_encoded(x: Tensor) -> Tensor:
            query = self.cross_attention.project_query(x)
            return self.cross_attention.attend(
                query, *memory, _expand_mask(encoded_mask), training=training
            )

        x = self._attend_self(inputs, mask, training)
        x = self._residual(x, attend_encoded, self.cross_attention_norm, training)
        return self._feed_forward(x, training)

    def cross_attention_weights(
        self,
        inputs: Tensor,
        memory: tuple[Tensor, Tensor],
        encoded_mask: Tensor | None = None,
    ) -> Tensor:
        """Returns the weights `(B, nh, T, S)` of `decode` for the encoder's output."""
        x = self._attend_self(inputs, None, False)
        if self.norm_first:
            x = self.cross_attention_norm(x)
        query = self.cross_attention.project_query(x)
        return self.cross_attention.scores(query, memory[0], _expand_mask(encoded_mask))

    def _attend_self(self, inputs: Tensor, mask: Tensor | None, training: bool) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self.attention(x, value_mask=mask, use_causal_mask=True, training=training)

        return self._residual(inputs, attend, self.attention_norm, training)

    def memory(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Maps the encoder's output `(B, S, D)` to keys and values `(B, nh, S, hs)`."""
        return self.cross_attention.project_key_value(encoded)

    def initial_state(
        self, batch_size: int | Tensor, max_length: int | None
    ) -> tuple[Tensor, Tensor]:
        """Returns an empty cache; see `MultiHeadAttention.initial_state`."""
        return self.attention.initial_state(batch_size, max_length)

    def step(
        self,
        inputs: Tensor,
        state: tuple[Tensor, Tensor],
        cache_position: CachePosition,
        memory: tuple[Tensor, Tensor],
        encoded_mask: Tensor | None = None,
        beams: int = 1,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Computes one position.

        Args:
            inputs: `(B · K, D)`.
            state: State as from `initial_state` or an earlier step.
            cache_position: Position of this step in the sequence.
            memory: Keys and values as from `memory`.
            encoded_mask: `(B, S)` boolean, False where the encoder read padding.
            beams: Number of rows K for each row of the memory.

        Returns:
            `(output, state)`; the output is `(B · K, D)`.
        """
        cache = [state]

        def attend(x: Tensor) -> Tensor:
            output, cache[0] = self.attention.step(x, state, cache_position)
            return output

        def attend_memory(x: Tensor) -> Tensor:
            return self.cross_attention.attend_per_row(x, memory, _expand_mask(encoded_mask), beams)

        x = self._residual(inputs, attend, self.attention_norm, False)
        x = self._residual(x, attend_memory, self.cross_attention_norm, False)
        return self._feed_forward(x, False), cache[0]

    def compute_output_shape(
        self, inputs_shape: tuple[int | None, ...], *_: Any, **__: Any
    ) -> tuple[int | None, ...]:
        return inputs_shape


def _expand_mask(mask: Tensor | None) -> Tensor | None:
    """Maps `(B, S)` to `(B, 1, 1, S)`, as attention takes it."""
    return None if mask is None else mask[:, None, None, :]
