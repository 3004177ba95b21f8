"""Keras 2's `MultiHeadAttention` of padded sequences."""

from typing import Any

import keras
from keras import ops

from keras_seq.typing import Tensor

LARGE = 1e9  # what Keras 2 subtracts from a score that is masked


@keras.saving.register_keras_serializable("keras_seq")
class MultiHeadAttentionKeras2(keras.layers.MultiHeadAttention):
    """Keras's `MultiHeadAttention` as it treats padding in Keras 2.

    A padded query looks at all positions alike; in Keras 3 it looks at none, if the layer has
    dropout or returns its scores. And the inputs keep their masks for other layers, which Keras 3
    takes from them.

    Args:
        ignores_masks: Whether the layer sees no masks of its inputs, and passes none on, as it was
            until Keras 2.9.
        *args: As of Keras's `MultiHeadAttention`.
        **options: Likewise.
    """

    def __init__(self, *args: Any, ignores_masks: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ignores_masks = ignores_masks

    # Keras looks for masks to hand over among the names of the arguments.
    def call(
        self,
        query: Tensor,
        value: Tensor,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        tensors = [tensor for tensor in (query, value, key) if tensor is not None]
        masks = [getattr(tensor, "_keras_mask", None) for tensor in tensors]
        if self.ignores_masks:
            query_mask = value_mask = key_mask = None
            for tensor in tensors:
                tensor._keras_mask = None
        outputs = super().call(
            query,
            value,
            key,
            query_mask=query_mask,
            value_mask=value_mask,
            key_mask=key_mask,
            attention_mask=attention_mask,
            return_attention_scores=return_attention_scores,
            training=training,
            use_causal_mask=use_causal_mask,
        )
        for tensor, mask in zip(tensors, masks, strict=True):
            if mask is not None:
                tensor._keras_mask = mask
        return outputs

    def compute_mask(self, *args: Any, **kwargs: Any) -> Any:
        return None if self.ignores_masks else super().compute_mask(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ignores_masks": self.ignores_masks}

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
