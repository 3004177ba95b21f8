"""The Transformer's encoder block."""

from typing import Any

import keras

from keras_seq.errors import require_positive
from keras_seq.layers.dropout import Dropout
from keras_seq.layers.multi_head_attention import MultiHeadAttention, Tensor


@keras.saving.register_keras_serializable("keras_seq")
class TransformerEncoder(keras.layers.Layer):
    """Self-attention and a feed-forward network, each with a residual (Vaswani et al. 2017).

        x = x + attention(norm(x))                  pre-norm (Xiong et al. 2020), the default
        x = x + W_2 act(W_1 norm(x))

    With `norm_first=False`, norm(x + …) as in the original paper. With `causal=True` position t
    sees positions up to t, and `step` computes one position over a cache of the earlier ones.

    Args:
        num_heads: Heads of the attention; they share the width of the input between them.
        intermediate_dim: Width of the feed-forward network.
        dropout: Share dropped of each branch's output, and of the attention. Training only.
        activation: Of the feed-forward network.
        norm_first: Normalise before each branch rather than after its sum.
        causal: Hide later positions.
        epsilon: Of the layer normalisations.
    """

    def __init__(
        self,
        num_heads: int,
        intermediate_dim: int,
        dropout: float = 0.0,
        activation: Any = "relu",
        norm_first: bool = True,
        causal: bool = False,
        epsilon: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        require_positive(num_heads=num_heads, intermediate_dim=intermediate_dim)
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.dropout_rate = dropout
        self.activation = keras.activations.get(activation)
        self.norm_first = norm_first
        self.causal = causal
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = input_shape[-1]
        if width % self.num_heads:
            raise ValueError(
                f"The width of the input must divide by num_heads. Received: width={width}, "
                f"num_heads={self.num_heads}"
            )
        policy = self.dtype_policy
        self.attention = MultiHeadAttention(
            self.num_heads,
            width // self.num_heads,
            dropout=self.dropout_rate,
            dtype=policy,
            name="attention",
        )
        self.attention_norm = keras.layers.LayerNormalization(
            epsilon=self.epsilon, dtype=policy, name="attention_norm"
        )
        self.feed_forward_norm = keras.layers.LayerNormalization(
            epsilon=self.epsilon, dtype=policy, name="feed_forward_norm"
        )
        self.intermediate = keras.layers.Dense(
            self.intermediate_dim, activation=self.activation, dtype=policy, name="intermediate"
        )
        self.output_dense = keras.layers.Dense(width, dtype=policy, name="output")
        self.dropout = Dropout(self.dropout_rate, dtype=policy)
        for layer in (
            self.attention,
            self.attention_norm,
            self.feed_forward_norm,
            self.intermediate,
        ):
            layer.build(input_shape)
        self.output_dense.build((*input_shape[:-1], self.intermediate_dim))

    def call(self, inputs: Tensor, mask: Tensor | None = None, training: bool = False) -> Tensor:
        """Maps `(B, T, D)` to `(B, T, D)`; `mask`, `(B, T)` boolean, hides padded positions."""

        def attend(x: Tensor) -> Tensor:
            x = self.attention(x, value_mask=mask, use_causal_mask=self.causal, training=training)
            return self.dropout(x, training=training)

        x = self._residual(inputs, attend, self.attention_norm)
        return self._feed_forward(x, training)

    def initial_state(self, batch_size: int | Tensor, max_length: int) -> tuple[Tensor, Tensor]:
        """An empty cache; see `MultiHeadAttention.initial_state`."""
        return self.attention.initial_state(batch_size, max_length)

    def step(
        self, inputs: Tensor, state: tuple[Tensor, Tensor], position: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One position of a causal block: `(B, D)` and a cache in, `(output, state)` out."""
        cache = [state]

        def attend(x: Tensor) -> Tensor:
            output, cache[0] = self.attention.step(x, state, position)
            return output

        output = self._feed_forward(self._residual(inputs, attend, self.attention_norm), False)
        return output, cache[0]

    def _feed_forward(self, x: Tensor, training: bool) -> Tensor:
        def branch(x: Tensor) -> Tensor:
            return self.dropout(self.output_dense(self.intermediate(x)), training=training)

        return self._residual(x, branch, self.feed_forward_norm)

    def _residual(self, x: Tensor, branch: Any, norm: keras.layers.Layer) -> Tensor:
        return x + branch(norm(x)) if self.norm_first else norm(x + branch(x))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "dropout": self.dropout_rate,
            "activation": keras.activations.serialize(self.activation),
            "norm_first": self.norm_first,
            "causal": self.causal,
            "epsilon": self.epsilon,
        }
