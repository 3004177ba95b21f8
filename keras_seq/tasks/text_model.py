"""What the models of all tasks on texts have in common: embedding, backbone, tokenizer, export."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import keras

# Imported so that Keras knows every class that a model's file may name.
import keras_seq.backbones
import keras_seq.text.byte_tokenizer
import keras_seq.text.sentencepiece  # noqa: F401
from keras_seq.embeddings import TokenEmbedding
from keras_seq.signature import Entry, Signature
from keras_seq.text import Tokenizer
from keras_seq.typing import Arrays


class TextModel(keras.Model):
    """Base: token ids become vectors, which a backbone reads.

    Args:
        backbone: A `keras_seq.backbones` backbone.
        tokenizer: A `keras_seq.text` tokenizer.
        max_length: Number of tokens of a text that the model reads.
        embedding: A `TokenEmbedding` of the tokenizer's vocabulary and the backbone's width; by
            default a new one.
        scaled_embedding: Whether a new embedding is scaled; see `TokenEmbedding`.

    Attributes:
        task: Name of the task.
    """

    task: str

    def __init__(
        self,
        backbone: Any,
        tokenizer: Tokenizer,
        max_length: int,
        embedding: TokenEmbedding | None = None,
        scaled_embedding: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embedding = embedding or TokenEmbedding(
            tokenizer.vocabulary_size,
            backbone.hidden_dim,
            scaled=scaled_embedding,
            dtype=backbone.dtype_policy,
            name="embedding",
        )
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.max_length = max_length
        if tokenizer.vocabulary_size > self.embedding.vocabulary_size:
            raise ValueError(
                f"The tokenizer has {tokenizer.vocabulary_size} ids, the embedding "
                f"{self.embedding.vocabulary_size}: build it with the tokenizer's vocabulary_size."
            )

    def build_parts(self) -> None:
        """Builds the embedding and the backbone, where they are not built yet."""
        if not self.embedding.built:
            self.embedding.build((None, None))
        if not self.backbone.built:
            self.backbone.build((None, None, self.embedding.dim))

    def describe(self) -> dict[str, Any]:
        """Returns the backbone and the sizes, for the manifest of a bundle."""
        return {
            "backbone": self.backbone.kind,
            "vocabulary_size": self.embedding.vocabulary_size,
            "hidden_dim": self.backbone.hidden_dim,
            "parameters": int(self.count_params()),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
            "embedding": keras.saving.serialize_keras_object(self.embedding),
            "max_length": self.max_length,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        if "embedding" not in config:
            raise ValueError(
                "The file was saved when backbones held the embedding. Load it once with "
                "keras_seq.models.load_model(path) and save it again."
            )
        for part in ("backbone", "tokenizer", "embedding"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


class SignatureMixin:
    """What the exporter asks of a model; see `keras_seq.signature.Exportable`.

    Attributes:
        entry: The main signature and the interactive ones.
        labels: Names of the classes; empty for other tasks.
        signatures_class: Takes the model; has `signatures`, `signature_inputs`, `random_inputs` and
            `limits`.
    """

    entry: Entry
    labels: Sequence[str] = ()
    signatures_class: type

    @cached_property
    def _exported(self) -> Any:
        return self.signatures_class(self)

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """Returns the functions to export; see the model's `signatures_class`."""
        return self._exported.signatures(sizes)

    def signature_inputs(
        self, texts: Sequence[str | bytes], sizes: Mapping[str, int]
    ) -> dict[str, Arrays]:
        """Returns the inputs of each signature made from `texts`, cut to `sizes`."""
        return self._exported.signature_inputs(texts, sizes)

    def random_inputs(self, count: int, seed: int, sizes: Mapping[str, int]) -> dict[str, Arrays]:
        """Returns `count` rows of random inputs of each signature."""
        return self._exported.random_inputs(count, seed, sizes)

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Returns the largest size of each dimension of a signature that has one."""
        return self._exported.limits(sizes)
