"""A vector for each token."""

from typing import Any

import keras
from keras import ops

from keras_seq.errors import require_positive
from keras_seq.lookup import take
from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class TokenEmbedding(keras.layers.Layer):
    """Token ids to vectors: `(…)` int32 to `(…, dim)`.

    Args:
        vocabulary_size: Number of token ids.
        dim: Width of the vectors.
        scaled: Multiply by `dim ** 0.5` vectors that begin with a variance of `1 / dim`, so that
            they have about unit variance and a softmax may share the weights (Vaswani et al.
            2017, section 3.4).
    """

    def __init__(self, vocabulary_size: int, dim: int, scaled: bool = False, **kwargs: Any) -> None:
        require_positive(vocabulary_size=vocabulary_size, dim=dim)
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.dim = dim
        self.scaled = scaled
        self.initializer = (
            keras.initializers.RandomNormal(stddev=dim**-0.5)
            if scaled
            else keras.initializers.RandomUniform()
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.embeddings = self.add_weight(
            shape=(self.vocabulary_size, self.dim), name="embeddings", initializer=self.initializer
        )

    def call(self, token_ids: Tensor) -> Tensor:
        """Maps ids `(…)` int32 to vectors `(…, dim)`."""
        # Keras hands ids as floats to a subclassed model that it knows no input dtype of.
        vectors = take(self.embeddings, ops.cast(token_ids, "int32"))
        vectors = ops.cast(vectors, self.compute_dtype)
        return vectors * self.dim**0.5 if self.scaled else vectors

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape, self.dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "dim": self.dim,
            "scaled": self.scaled,
        }


def token_mask(token_ids: Tensor) -> Tensor:
    """Returns a boolean tensor that is True where an id is a token, not padding (0)."""
    return ops.not_equal(token_ids, 0)
