"""Keras 2's answer of `MultiHeadAttention` where a query sees nothing."""

from typing import Any

import keras
from keras import ops

from keras_seq.typing import Tensor

LARGE = 1e9  # what Keras 2 subtracts from a score that is masked


@keras.saving.register_keras_serializable("keras_seq")
class MultiHeadAttentionKeras2(keras.layers.MultiHeadAttention):
    """Keras's `MultiHeadAttention`, whose padded queries look at all positions alike.

    In Keras 3 they look at none, if the layer has dropout or returns its scores.
    """

    def _masked_softmax(self, attention_scores: Tensor, attention_mask: Any = None) -> Tensor:
        if attention_mask is not None:
            # From (B, T, S) to (B, heads, T, S), with more axes where the queries have them.
            axis = -len(self._attention_axes) * 2 - 1
            for _ in range(len(attention_scores.shape) - len(attention_mask.shape)):
                attention_mask = ops.expand_dims(attention_mask, axis=axis)
            attention_scores = ops.where(
                ops.cast(attention_mask, "bool"), attention_scores, attention_scores - LARGE
            )
        return self._softmax(attention_scores)
