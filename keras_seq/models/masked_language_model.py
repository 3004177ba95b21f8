"""A masked language model: what stood where a token is hidden."""

from typing import Any

import keras

from keras_seq.backbones import Backbone
from keras_seq.models.language_head import LanguageHead
from keras_seq.text import Tokenizer

Tensor = Any


@keras.saving.register_keras_serializable("keras_seq")
class MaskedLanguageModel(keras.Model):
    """A backbone that reads both ways and a softmax over the vocabulary (Devlin et al. 2019, BERT).

    For pre-training: `keras-seq train classify --init-from` goes on from its backbone. A token is
    hidden by the tokenizer's unknown id, which no text has.

    Args:
        backbone: A `keras_seq.backbones` backbone, of the tokenizer's vocabulary size.
        tokenizer: A `keras_seq.text` tokenizer.
        max_length: Tokens of a row.
        tie_embeddings: The softmax shares its weights with the embedding.
    """

    task = "unmask"

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        max_length: int = 256,
        tie_embeddings: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.tie_embeddings = tie_embeddings
        self.head = LanguageHead(tokenizer.vocabulary_size, tie_embeddings, name="head")
        self.build((None, None))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if not self.backbone.built:
            self.backbone.build((None, None))
        self.head.build((None, None, self.backbone.hidden_dim))
        self.built = True

    def call(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Maps `(B, T)` int32 to the logits of what stands there, `(B, T, V)` float32."""
        hidden = self.backbone(token_ids, training=training)
        return self.head(hidden, embeddings=self.backbone.embedding.embeddings)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
            "max_length": self.max_length,
            "tie_embeddings": self.tie_embeddings,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MaskedLanguageModel":
        for part in ("backbone", "tokenizer"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)
