"""The base of the Transformer's encoder and decoder blocks."""

from collections.abc import Callable
from typing import Any

import keras

from keras_seq.errors import require_positive, require_share
from keras_seq.layers.dropout import Dropout
from keras_seq.layers.layer_normalization import LayerNormalization
from keras_seq.layers.multi_head_attention import MultiHeadAttention
from keras_seq.typing import Tensor


class TransformerBlock(keras.layers.Layer):
    """Base: branches, each with a normalisation and a residual, the last a feed-forward network.

    Args:
        num_heads: Number of attention heads, which divide the width of the input.
        intermediate_dim: Width of the feed-forward network.
        dropout: Share of each branch's output and of the attention to drop. Training only.
        activation: Activation of the feed-forward network.
        norm_first: Normalise before each branch, not after its sum.
        epsilon: Epsilon of the layer normalisations.
    """

    def __init__(
        self,
        num_heads: int,
        intermediate_dim: int,
        dropout: float = 0.0,
        activation: Any = "relu",
        norm_first: bool = True,
        epsilon: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        require_positive(num_heads=num_heads, intermediate_dim=intermediate_dim)
        require_share(dropout=dropout)
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.dropout_rate = dropout
        self.activation = keras.activations.get(activation)
        self.norm_first = norm_first
        self.epsilon = epsilon
        self.supports_masking = True

    def _build_attention(
        self, name: str, query_shape: tuple[int | None, ...], value_shape: tuple[int | None, ...]
    ) -> tuple[MultiHeadAttention, keras.layers.Layer]:
        """Returns an attention and its normalisation."""
        width = query_shape[-1]
        if width % self.num_heads:
            raise ValueError(
                f"The width of the input must divide by num_heads. Received: width={width}, "
                f"num_heads={self.num_heads}"
            )
        attention = MultiHeadAttention(
            self.num_heads,
            width // self.num_heads,
            dropout=self.dropout_rate,
            dtype=self.dtype_policy,
            name=name,
        )
        attention.build(query_shape, value_shape)
        return attention, self._build_norm(f"{name}_norm", query_shape)

    def _build_norm(self, name: str, shape: tuple[int | None, ...]) -> keras.layers.Layer:
        norm = LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name=name)
        norm.build(shape)
        return norm

    def _build_feed_forward(self, shape: tuple[int | None, ...]) -> None:
        policy = self.dtype_policy
        self.feed_forward_norm = self._build_norm("feed_forward_norm", shape)
        self.intermediate = keras.layers.Dense(
            self.intermediate_dim, activation=self.activation, dtype=policy, name="intermediate"
        )
        self.output_dense = keras.layers.Dense(shape[-1], dtype=policy, name="output")
        self.dropout = Dropout(self.dropout_rate, dtype=policy)
        self.intermediate.build(shape)
        self.output_dense.build((*shape[:-1], self.intermediate_dim))

    def _feed_forward(self, x: Tensor, training: bool) -> Tensor:
        def branch(x: Tensor) -> Tensor:
            return self.output_dense(self.intermediate(x))

        return self._residual(x, branch, self.feed_forward_norm, training)

    def _residual(
        self,
        x: Tensor,
        branch: Callable[[Tensor], Tensor],
        norm: keras.layers.Layer,
        training: bool,
    ) -> Tensor:
        if self.norm_first:
            return x + self.dropout(branch(norm(x)), training=training)
        return norm(x + self.dropout(branch(x), training=training))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "dropout": self.dropout_rate,
            "activation": keras.activations.serialize(self.activation),
            "norm_first": self.norm_first,
            "epsilon": self.epsilon,
        }
