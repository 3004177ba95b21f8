"""The layer from hidden vectors to the logits of tokens."""

from typing import Any

import keras
from keras import ops

from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class LanguageHead(keras.layers.Layer):
    """A linear layer onto the vocabulary, with its own weights or those of the embedding.

        logits = h W + b        or h Eᵀ + b, E being the embedding (Press & Wolf 2017)

    Logits are float32 under mixed precision, too.

    Args:
        vocabulary_size: Number of tokens, V.
        tied: Use the embedding's weights; it must be as wide as the hidden vectors.
    """

    def __init__(self, vocabulary_size: int, tied: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.tied = tied
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if not self.tied:
            self.kernel = self.add_weight(
                shape=(input_shape[-1], self.vocabulary_size),
                name="kernel",
                initializer="glorot_uniform",
            )
        self.bias = self.add_weight(shape=(self.vocabulary_size,), name="bias", initializer="zeros")

    def call(self, hidden: Tensor, embeddings: Tensor | None = None) -> Tensor:
        """Maps `(…, D)` to `(…, V)` float32; `embeddings` `(V, D)` for a tied head."""
        if self.tied:
            kernel = ops.transpose(ops.cast(embeddings, hidden.dtype))
        else:
            kernel = ops.convert_to_tensor(self.kernel)
        return ops.cast(ops.matmul(hidden, kernel), "float32") + ops.cast(self.bias, "float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "tied": self.tied,
        }
