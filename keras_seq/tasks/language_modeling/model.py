"""What language models have in common: a softmax over the vocabulary."""

from typing import Any

import numpy as np
from keras import ops

from keras_seq.backbones import Backbone
from keras_seq.embeddings import TokenEmbedding, token_mask
from keras_seq.layers.language_head import LanguageHead
from keras_seq.tasks.language_modeling.architecture import make_parts
from keras_seq.tasks.text_model import TextModel
from keras_seq.text import Tokenizer
from keras_seq.text.tokenizer import END
from keras_seq.typing import Tensor


class LanguageModel(TextModel):
    """Base: token ids `(B, T)` to logits `(B, T, V)`.

    Args:
        backbone: "rnn", "lstm" or "transformer", or a `keras_seq.backbones` backbone.
        tokenizer: A `keras_seq.text` tokenizer; bytes by default.
        max_length: Number of tokens of a row; at most the positions of a Transformer. By default
            that of `keras-seq train`, 256.
        tie_embeddings: The softmax shares its weights with the embedding (Press & Wolf 2017). By
            default it does in a model whose backbone is named, and not in others.
        embedding: A `TokenEmbedding`; by default a new one of the backbone's width.
        scale_embedding: Whether a new embedding is scaled; see `TokenEmbedding`. Recurrent layers
            learn little from the small vectors of one that is not.
        **kwargs: Of a backbone by name also `hidden_dim`, `num_layers`, `num_heads`,
            `vocabulary_size` and what else `keras-seq train generate --help` says of the model.
            Arguments of `keras.Model`.
    """

    causal = False

    def __init__(
        self,
        backbone: Backbone | str = "transformer",
        tokenizer: Tokenizer | str | None = None,
        max_length: int | None = None,
        tie_embeddings: bool | None = None,
        embedding: TokenEmbedding | None = None,
        scale_embedding: bool | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = {
            "max_length": max_length,
            "tie_embeddings": tie_embeddings,
            "embedding": embedding,
            "scale_embedding": scale_embedding,
        }
        super().__init__(backbone, tokenizer, arguments, **kwargs)

    @classmethod
    def make_parts(cls, settings: Any, vocabulary_size: int) -> dict[str, Any]:
        """Returns arguments of `assemble`, the backbone among them, for settings of the task."""
        return make_parts(settings, cls.causal)

    def assemble(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        max_length: int = 256,
        tie_embeddings: bool = False,
        embedding: TokenEmbedding | None = None,
        scale_embedding: bool = True,
    ) -> None:
        """Makes the layers; see the class for the arguments."""
        if self.causal:
            backbone.require_causal()
        limit = backbone.max_length or max_length
        if not 1 < max_length <= limit:
            raise ValueError(
                f"max_length must be from 2 to the backbone's {limit}. Received: {max_length}"
            )
        self.assemble_base(backbone, tokenizer, max_length, embedding, scale_embedding)
        if tie_embeddings and self.embedding.dim != backbone.hidden_dim:
            raise ValueError(
                "A softmax that shares the embedding's weights needs vectors of one width. "
                f"Received: embedding {self.embedding.dim}, backbone {backbone.hidden_dim}"
            )
        self.tie_embeddings = tie_embeddings
        self.head = LanguageHead(self.embedding.vocabulary_size, tie_embeddings, name="head")
        self.build((None, None))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.build_parts()
        self.head.build((None, None, self.backbone.hidden_dim))
        self.built = True

    def call(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Maps `(B, T)` int32 to logits `(B, T, V)` float32."""
        return self.logits(self.encode(token_ids, training))

    def encode(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Maps `(B, T)` int32 to hidden vectors `(B, T, D)`."""
        mask = token_mask(token_ids)
        return self.backbone(self.embedding(token_ids), mask=mask, training=training)

    def logits(self, hidden: Tensor) -> Tensor:
        """Maps hidden vectors `(…, D)` to logits `(…, V)` float32."""
        return self.head(hidden, embeddings=self.embedding.embeddings)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tie_embeddings": self.tie_embeddings}


def mask_special_tokens(logits: Tensor) -> Tensor:
    """Returns logits `(…, V)` that never select padding, the unknown or the beginning token."""
    # Far below what a high temperature makes of it.
    never = np.where(np.arange(logits.shape[-1]) < END, -1e38, 0.0)
    return logits + ops.convert_to_tensor(never, dtype=logits.dtype)
