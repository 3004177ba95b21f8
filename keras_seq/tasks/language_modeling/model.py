"""What language models have in common: a backbone, and a softmax over the vocabulary."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.backbones import Backbone
from keras_seq.layers.language_head import LanguageHead
from keras_seq.text import Tokenizer
from keras_seq.text.tokenizer import END
from keras_seq.typing import Tensor


class LanguageModel(keras.Model):
    """Base: token ids `(B, T)` to logits `(B, T, V)`.

    Args:
        backbone: A `keras_seq.backbones` backbone, of the tokenizer's vocabulary size.
        tokenizer: A `keras_seq.text` tokenizer.
        max_length: Tokens of a row; of a Transformer at most its positions.
        tie_embeddings: The softmax shares its weights with the embedding (Press & Wolf 2017).
    """

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        max_length: int = 256,
        tie_embeddings: bool = False,
        **kwargs: Any,
    ) -> None:
        if tokenizer.vocabulary_size != backbone.vocabulary_size:
            raise ValueError(
                f"The tokenizer has {tokenizer.vocabulary_size} ids, the backbone an embedding of "
                f"{backbone.vocabulary_size}: build it with the tokenizer's vocabulary_size."
            )
        limit = getattr(backbone, "max_length", max_length)
        if not 1 < max_length <= limit:
            raise ValueError(
                f"max_length must be from 2 to the backbone's {limit}. Received: {max_length}"
            )
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
        """Maps `(B, T)` int32 to logits `(B, T, V)` float32."""
        return self.logits(self.backbone(token_ids, training=training))

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden vectors `(…, D)` to logits `(…, V)` float32."""
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
    def from_config(cls, config: dict[str, Any]) -> Any:
        for part in ("backbone", "tokenizer"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


def mask_special_tokens(logits: Tensor) -> Tensor:
    """Logits `(…, V)` in which padding, the unknown and the beginning are never chosen."""
    # Far below what a high temperature makes of it.
    never = np.where(np.arange(logits.shape[-1]) < END, -1e38, 0.0)
    return logits + ops.convert_to_tensor(never, dtype=logits.dtype)
