"""The masked language model: it predicts the tokens that are hidden."""

import keras
from keras import ops

from keras_seq.tasks.language_modeling.model import LanguageModel
from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class MaskedLanguageModel(LanguageModel):
    """A bidirectional backbone and a softmax over the vocabulary (Devlin et al. 2019, BERT).

    It serves pre-training: `keras-seq train classify --init-from` starts from its backbone. A token
    is hidden by the tokenizer's unknown id, which no text has. The arguments are those of
    `LanguageModel`.
    """

    task = "unmask"

    def call(self, inputs: Tensor | tuple[Tensor, Tensor], training: bool = False) -> Tensor:
        """Maps `(B, T)` int32 to logits `(B, T, V)` float32.

        With a second input, positions `(B, K)` int32, it returns the logits `(B, K, V)` of those
        alone: logits take most of the time, and few tokens are hidden.
        """
        if not isinstance(inputs, list | tuple):
            return super().call(inputs, training=training)
        token_ids, positions = inputs
        hidden = self.encode(token_ids, training)
        return self.logits(ops.take_along_axis(hidden, positions[:, :, None], axis=1))
