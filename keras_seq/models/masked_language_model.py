"""A masked language model: what stood where a token is hidden."""

import keras

from keras_seq.models.language_model import LanguageModel


@keras.saving.register_keras_serializable("keras_seq")
class MaskedLanguageModel(LanguageModel):
    """A backbone that reads both ways and a softmax over the vocabulary (Devlin et al. 2019, BERT).

    For pre-training: `keras-seq train classify --init-from` goes on from its backbone. A token is
    hidden by the tokenizer's unknown id, which no text has. Arguments are those of
    `LanguageModel`.
    """

    task = "unmask"
