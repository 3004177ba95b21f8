"""The Transformer's encoder block."""

from typing import Any

import keras

from keras_seq.layers.cache import CachePosition
from keras_seq.layers.positions import Rotation
from keras_seq.layers.transformer_block import TransformerBlock
from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class TransformerEncoder(TransformerBlock):
    """Self-attention and a feed-forward network, each with a residual (Vaswani et al. 2017).

        x = x + attention(norm(x))                  pre-norm (Xiong et al. 2020), the default
        x = x + W_2 act(W_1 norm(x))

    With `norm_first=False`, norm(x + …) as in the original paper. With `causal=True` position t
    sees positions up to t, and `step` computes one position over a cache of the earlier ones.

    Args:
        num_heads: Number of attention heads, which divide the width of the input.
        intermediate_dim: Width of the feed-forward network.
        dropout: Share of each branch's output and of the attention to drop. Training only.
        activation: Activation of the feed-forward network.
        norm_first: Normalise before each branch, not after its sum.
        epsilon: Epsilon of the layer normalisations.
        causal: Let positions attend to earlier ones only.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        num_heads: int,
        intermediate_dim: int,
        dropout: float = 0.0,
        activation: Any = "relu",
        norm_first: bool = True,
        epsilon: float = 1e-5,
        causal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_heads, intermediate_dim, dropout, activation, norm_first, epsilon, **kwargs
        )
        self.causal = causal

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.attention, self.attention_norm = self._build_attention(
            "attention", input_shape, input_shape
        )
        self._build_feed_forward(input_shape)

    def call(
        self,
        inputs: Tensor,
        mask: Tensor | None = None,
        training: bool = False,
        rotation: Rotation | None = None,
    ) -> Tensor:
        """Maps `(B, T, D)` to `(B, T, D)`.

        Args:
            inputs: `(B, T, D)`.
            mask: `(B, T)` boolean, False where a position is padding.
            training: Apply dropout.
            rotation: Rotation of the positions; see `RotaryPositions`.
        """

        def attend(x: Tensor) -> Tensor:
            return self.attention(
                x,
                value_mask=mask,
                use_causal_mask=self.causal,
                training=training,
                rotation=rotation,
            )

        x = self._residual(inputs, attend, self.attention_norm, training)
        return self._feed_forward(x, training)

    def initial_state(
        self, batch_size: int | Tensor, max_length: int | None
    ) -> tuple[Tensor, Tensor]:
        """Returns an empty cache; see `MultiHeadAttention.initial_state`."""
        return self.attention.initial_state(batch_size, max_length)

    def prefill(
        self, inputs: Tensor, max_length: int | None, rotation: Rotation | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Computes the first positions of a causal block: `(B, T, D)` in, `(output, state)` out."""
        cache = [None]

        def attend(x: Tensor) -> Tensor:
            output, cache[0] = self.attention.prefill(x, max_length, rotation)
            return output

        x = self._residual(inputs, attend, self.attention_norm, False)
        return self._feed_forward(x, False), cache[0]

    def step(
        self, inputs: Tensor, state: tuple[Tensor, Tensor], cache_position: CachePosition
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Computes one position of a causal block: `(B, D)` and a cache to `(output, state)`."""
        cache = [state]

        def attend(x: Tensor) -> Tensor:
            output, cache[0] = self.attention.step(x, state, cache_position)
            return output

        x = self._residual(inputs, attend, self.attention_norm, False)
        return self._feed_forward(x, False), cache[0]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "causal": self.causal}
