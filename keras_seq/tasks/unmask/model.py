"""A masked language model: what stood where a token is hidden."""

import keras
from keras import ops

from keras_seq.tasks.language_modeling.model import LanguageModel
from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class MaskedLanguageModel(LanguageModel):
    """A backbone that reads both ways and a softmax over the vocabulary (Devlin et al. 2019, BERT).

    For pre-training: `keras-seq train classify --init-from` goes on from its backbone. A token is
    hidden by the tokenizer's unknown id, which no text has. Arguments are those of
    `LanguageModel`.
    """

    task = "unmask"

    def call(self, inputs: Tensor | tuple[Tensor, Tensor], training: bool = False) -> Tensor:
        """Maps `(B, T)` int32 to logits `(B, T, V)` float32.

        Or two inputs, the second `(B, K)` int32, to the logits `(B, K, V)` of those places alone:
        most of the time goes into logits, and few tokens of a text are hidden.
        """
        if not isinstance(inputs, list | tuple):
            return super().call(inputs, training=training)
        token_ids, places = inputs
        hidden = self.backbone(token_ids, training=training)
        return self.logits(ops.take_along_axis(hidden, places[:, :, None], axis=1))
