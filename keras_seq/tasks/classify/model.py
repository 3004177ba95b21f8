"""The text classifier: text in, probabilities of labels out."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.backbones import Backbone
from keras_seq.data.corpus import LabelledTexts
from keras_seq.data.datasets import holds_texts, is_dataset, read_dataset
from keras_seq.data.labels import require_labels
from keras_seq.embeddings import TokenEmbedding, token_mask
from keras_seq.errors import UserError, describe
from keras_seq.layers import Dropout
from keras_seq.signature import Entry
from keras_seq.tasks.classify.architecture import make_parts
from keras_seq.tasks.classify.signatures import ClassifierSignatures
from keras_seq.tasks.text_model import SignatureMixin, TextModel
from keras_seq.text import Tokenizer
from keras_seq.text.token_rows import tokenize_to_matrix
from keras_seq.text.utf8 import is_text, list_texts
from keras_seq.typing import Tensor

POOLINGS = ("max", "mean")


@keras.saving.register_keras_serializable("keras_seq")
class TextClassifier(SignatureMixin, TextModel):
    """A backbone, a pooling over its positions, and a softmax over the labels.

    `fit`, `evaluate` and `predict` take texts (one, a list, an array or a pandas Series of them,
    or a `tf.data.Dataset` of texts and labels) or token ids, and labels by name or by index.
    `save("model.keras")` keeps tokenizer and labels inside the file; `keras.saving.load_model`
    gives the classifier back.

    Args:
        backbone: "rnn", "lstm" or "transformer", or a `keras_seq.backbones` backbone.
        tokenizer: A `keras_seq.text` tokenizer; by default `fit` learns SentencePiece pieces.
        labels: Names of the classes; by default those that `fit` meets, sorted.
        max_length: Number of tokens of a text that are read; a longer text is truncated. By default
            that of `keras-seq train classify`, 256 where the backbone is built.
        pooling: "max" or "mean" over the positions that are not padding.
        dropout: Share of the pooled features dropped, in training only.
        embedding: A `TokenEmbedding`; by default a new one of the backbone's width.
        **kwargs: Of a backbone by name also `hidden_dim`, `num_layers`, `num_heads`,
            `embedding_dim`, `vocabulary_size` and what else `keras-seq train classify --help` says
            of the model. Arguments of `keras.Model`.

    Example:

    ```python
    texts = ["a joy to watch", "a waste of time", "warm and funny", "dull, dull, dull"] * 25
    labels = ["good", "bad", "good", "bad"] * 25
    model = keras_seq.TextClassifier("lstm", hidden_dim=32)
    model.fit(texts, labels, epochs=2, validation_split=0.1)
    model.predict("a joy to watch")                    # (1, 2) probabilities, of model.labels
    ```
    """

    task = "classify"
    entry = Entry("classify_text")
    signatures_class = ClassifierSignatures
    targets = "labels"
    learnt = ("labels",)
    returns_logits = False
    default_metrics = ("accuracy",)
    make_parts = staticmethod(make_parts)

    def __init__(
        self,
        backbone: Backbone | str = "lstm",
        tokenizer: Tokenizer | str | None = None,
        labels: Sequence[str] | None = None,
        max_length: int | None = None,
        pooling: str | None = None,
        dropout: float | None = None,
        embedding: TokenEmbedding | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = {
            "labels": labels,
            "max_length": max_length,
            "pooling": pooling,
            "dropout": dropout,
            "embedding": embedding,
        }
        super().__init__(backbone, tokenizer, arguments, **kwargs)

    def assemble(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        labels: Sequence[str],
        max_length: int = 256,
        pooling: str = "max",
        dropout: float = 0.0,
        embedding: TokenEmbedding | None = None,
    ) -> None:
        """Makes the layers; see the class for the arguments."""
        labels = [str(label) for label in labels]
        if len(labels) < 2 or len(set(labels)) < len(labels):
            raise UserError(f"labels are two different names or more. Received: {describe(labels)}")
        require_labels(labels)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is one of {POOLINGS}. Received: {pooling!r}")
        limit = backbone.max_length or max_length
        if not 0 < max_length <= limit:
            raise ValueError(
                f"max_length must be from 1 to the backbone's {limit}. Received: {max_length}"
            )
        self.assemble_base(backbone, tokenizer, max_length, embedding)
        self.labels = labels
        self.pooling = pooling
        self.dropout_rate = dropout
        self.dropout = Dropout(dropout)
        # Probabilities stay float32 under mixed precision.
        self.head = keras.layers.Dense(
            len(labels), activation="softmax", dtype="float32", name="head"
        )
        self.build((None, max_length))

    def learn(self, name: str, texts: list[Any], y: Any) -> Any:
        """Returns the labels that occur, sorted."""
        y = _name_booleans(y)
        labels = [str(label) for label in (list_texts(y) if is_text(y) else np.asarray(y).ravel())]
        classes = LabelledTexts(labels, labels).classes()
        if not is_text(y) and classes != tuple(map(str, range(len(classes)))):
            raise UserError(
                "Labels that are numbers are whole and count up from 0: 0, 1, 2 and so on. "
                f"Received: {', '.join(classes[:5])}. Give such as these as names: "
                "[str(label) for label in labels]"
            )
        return classes

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.build_parts()
        self.head.build((None, self.backbone.hidden_dim))
        self.built = True

    def call(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Maps `(B, T)` int32 to probabilities `(B, C)` float32."""
        mask = token_mask(token_ids)  # (B, T)
        hidden = self.backbone(self.embedding(token_ids), mask=mask, training=training)  # (B, T, D)
        mask = ops.expand_dims(mask, axis=2)  # (B, T, 1)
        if self.pooling == "max":
            pooled = ops.max(ops.where(mask, hidden, ops.cast(-3e4, hidden.dtype)), axis=1)
            pooled = ops.where(ops.any(mask, axis=1), pooled, ops.zeros_like(pooled))
        else:
            weights = ops.cast(mask, hidden.dtype)
            total = ops.sum(hidden * weights, axis=1)
            pooled = total / ops.maximum(ops.sum(weights, axis=1), 1)
        return self.head(self.dropout(pooled, training=training))

    def prepare(self, x: Any, y: Any = None) -> tuple[Any, Any, Any]:
        """Converts texts and label names to ids and indices; see `preprocess`."""
        return (*self.preprocess(x, y), None)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Returns probabilities `(N, C)` float32 of texts or token ids."""
        x = self.preprocess(x)[0]
        if isinstance(x, (list, np.ndarray)) and len(x) == 0:
            return np.zeros((0, len(self.labels)), "float32")
        return super().predict(x, **kwargs)

    def preprocess(self, x: Any, y: Any = None) -> tuple[Any, Any]:
        """Converts texts to token ids `(N, max_length)` int32, label names to indices `(N,)` int32.

        Token ids and indices are returned as they are.

        Raises:
            UserError: If only some of the items are texts, or a label is not the classifier's.
        """
        if is_dataset(x):
            return self._preprocess_dataset(x)
        if is_text(x):
            x = tokenize_to_matrix(self.tokenizer, list_texts(x), self.max_length)
        y = _name_booleans(y)
        if is_text(y):
            y = list_texts(y)
            index = {label: i for i, label in enumerate(self.labels)}
            unknown = sorted({str(label) for label in y} - index.keys())
            if unknown:
                raise UserError(
                    f"The classifier does not know the label {unknown[0]!r}"
                    + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else "")
                    + f". It was trained with: {', '.join(self.labels)}."
                )
            y = np.array([index[str(label)] for label in y], "int32")
        elif isinstance(y, (list, tuple)) or hasattr(y, "to_numpy"):
            y = np.asarray(y)
        count = len(self.labels)
        is_index = isinstance(y, np.ndarray) and y.dtype.kind in "iu" and y.ndim == 1 and y.size
        if is_index and not 0 <= y.min() <= y.max() < count:
            raise UserError(
                f"The classifier has {count} labels: an index is from 0 to {count - 1}. Received: "
                f"{y.min()} to {y.max()}"
            )
        return x, y

    def _preprocess_dataset(self, dataset: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        if not holds_texts(dataset):
            return dataset, None
        spec = dataset.element_spec
        if isinstance(spec, tuple) and len(spec) > 1 and spec[1].dtype in (tf.string, tf.bool):
            return self.preprocess(*read_dataset(dataset))
        if (spec[0] if isinstance(spec, tuple) else spec).shape.rank == 0:
            raise UserError("Give a batched dataset of texts: dataset.batch(32)")

        def prepare(texts: Tensor, *rest: Tensor) -> Any:
            token_ids = self.tokenizer.to_tensor(texts, self.max_length)
            return (token_ids, *rest) if rest else token_ids

        return dataset.map(prepare, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE), None

    def describe(self) -> dict[str, Any]:
        """Returns the backbone and the sizes, for the manifest of a bundle."""
        return {**super().describe(), "bidirectional": not self.backbone.causal}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "labels": self.labels,
            "pooling": self.pooling,
            "dropout": self.dropout_rate,
        }


def _name_booleans(y: Any) -> Any:
    """Returns labels that are True or False by these names, and other labels as they are."""
    array = np.asarray(y) if isinstance(y, (list, tuple)) or hasattr(y, "to_numpy") else y
    if not isinstance(array, np.ndarray) or array.dtype.kind != "b":
        return y
    return array.ravel().astype(str)
