"""The loss of all tasks."""

from typing import Any

import keras
from keras import ops

from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class CrossEntropy(keras.losses.Loss):
    """Cross-entropy in nats of class indices, with smoothed labels (Szegedy et al. 2016).

        loss = -(1 - ε) log p_y - ε mean_k log p_k

    Args:
        label_smoothing: ε in [0, 1).
        from_logits: Whether the model returns logits `(…, C)` instead of probabilities.
    """

    def __init__(
        self, label_smoothing: float = 0.0, from_logits: bool = False, **kwargs: Any
    ) -> None:
        kwargs.setdefault("name", "cross_entropy")
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing
        self.from_logits = from_logits

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Maps class indices `(…)` and predictions `(…, C)` to losses `(…)`."""
        if self.from_logits:
            log_p = ops.log_softmax(y_pred, axis=-1)
        else:
            log_p = ops.log(ops.clip(y_pred, keras.config.epsilon(), 1.0))
        y_true = ops.cast(y_true, "int32")
        loss = -ops.squeeze(ops.take_along_axis(log_p, y_true[..., None], axis=-1), axis=-1)
        if self.label_smoothing:
            uniform = -ops.mean(log_p, axis=-1)
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * uniform
        return loss

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "from_logits": self.from_logits,
        }
