"""A text classifier: text in, probabilities of labels out."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.backbones import Backbone
from keras_seq.backbones.backbone import not_padding
from keras_seq.errors import UserError
from keras_seq.layers import Dropout
from keras_seq.signature import UNREAD, Entry, Signature, TensorSpec
from keras_seq.text import Tokenizer
from keras_seq.text.token_rows import tokenize_to_matrix
from keras_seq.text.utf8 import pack_texts, to_bytes, truncate
from keras_seq.typing import Tensor

POOLINGS = ("max", "mean")


@keras.saving.register_keras_serializable("keras_seq")
class TextClassifier(keras.Model):
    """A backbone, a pooling over its positions, and a softmax over the labels.

    `fit`, `evaluate` and `predict` take texts (a list of strings, or a `tf.data.Dataset` of texts
    and labels) or token ids, and labels by name or by index. `save("model.keras")` keeps tokenizer
    and labels inside the file; `keras.saving.load_model` gives the classifier back.

    Args:
        backbone: A `keras_seq.backbones` backbone, of the tokenizer's vocabulary size.
        tokenizer: A `keras_seq.text` tokenizer.
        labels: Names of the classes.
        max_length: Token ids read of a text; the rest of a longer one is cut off.
        pooling: "max" or "mean" over the positions that are not padding.
        dropout: Share of the pooled features dropped. Training only.

    Example:

    ```python
    tokenizer = keras_seq.text.SentencePieceTokenizer.train(texts)
    backbone = keras_seq.backbones.RecurrentBackbone(
        tokenizer.vocabulary_size, 128, cell="lstm", bidirectional=True
    )
    classifier = keras_seq.models.TextClassifier(backbone, tokenizer, ["negative", "positive"])
    classifier.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    classifier.fit(texts, labels, epochs=2)
    classifier.predict(["A wonderful film."])          # (1, 2) probabilities
    ```
    """

    task = "classify"
    entry = Entry("classify_text")

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        labels: Sequence[str],
        max_length: int = 256,
        pooling: str = "max",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        labels = [str(label) for label in labels]
        if len(labels) < 2 or len(set(labels)) < len(labels):
            raise UserError(f"labels are two different names or more. Received: {labels}")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is one of {POOLINGS}. Received: {pooling!r}")
        if tokenizer.vocabulary_size > backbone.vocabulary_size:
            raise ValueError(
                f"The tokenizer has {tokenizer.vocabulary_size} ids, the backbone an embedding of "
                f"{backbone.vocabulary_size}: build it with the tokenizer's vocabulary_size."
            )
        limit = getattr(backbone, "max_length", max_length)
        if not 0 < max_length <= limit:
            raise ValueError(
                f"max_length must be from 1 to the backbone's {limit}. Received: {max_length}"
            )
        super().__init__(**kwargs)
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.labels = labels
        self.max_length = max_length
        self.pooling = pooling
        self.dropout_rate = dropout
        self.dropout = Dropout(dropout)
        # Probabilities stay float32 under mixed precision.
        self.head = keras.layers.Dense(
            len(labels), activation="softmax", dtype="float32", name="head"
        )
        self.build((None, max_length))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if not self.backbone.built:
            self.backbone.build((None, None))
        self.head.build((None, self.backbone.hidden_dim))
        self.built = True

    def call(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Maps `(B, T)` int32 to probabilities `(B, C)` float32."""
        hidden = self.backbone(token_ids, training=training)  # (B, T, D)
        mask = ops.expand_dims(not_padding(token_ids), axis=2)  # (B, T, 1)
        if self.pooling == "max":
            pooled = ops.max(ops.where(mask, hidden, ops.cast(-3e4, hidden.dtype)), axis=1)
            pooled = ops.where(ops.any(mask, axis=1), pooled, ops.zeros_like(pooled))
        else:
            weights = ops.cast(mask, hidden.dtype)
            total = ops.sum(hidden * weights, axis=1)
            pooled = total / ops.maximum(ops.sum(weights, axis=1), 1)
        return self.head(self.dropout(pooled, training=training))

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Trains. As `keras.Model.fit`, with texts and label names welcome."""
        x, y = self.preprocess(x, y)
        validation = kwargs.get("validation_data")
        if isinstance(validation, (tuple, list)):
            kwargs["validation_data"] = (*self.preprocess(*validation[:2]), *validation[2:])
        elif validation is not None:
            kwargs["validation_data"] = self.preprocess(validation)[0]
        return super().fit(x, y, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Computes the loss and the metrics. As `keras.Model.evaluate`, texts welcome."""
        # Keras evaluates through this method while it fits, with data that is prepared already.
        if x is not None:
            x, y = self.preprocess(x, y)
        return super().evaluate(x, y, **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Probabilities `(N, C)` float32 of texts or token ids. As `keras.Model.predict`."""
        x = self.preprocess(x)[0]
        if isinstance(x, (list, np.ndarray)) and len(x) == 0:
            return np.zeros((0, len(self.labels)), "float32")
        return super().predict(x, **kwargs)

    def preprocess(self, x: Any, y: Any = None) -> tuple[Any, Any]:
        """Texts to token ids `(N, max_length)` int32 and label names to indices `(N,)` int32.

        What is in that form already stays as it is.

        Raises:
            UserError: If `x` is a single string, or a label is none of the classifier's.
        """
        if type(x).__module__.startswith("tensorflow") and hasattr(x, "element_spec"):
            return self._preprocess_dataset(x), y
        if isinstance(x, str):
            raise UserError(f"Give a list of texts. Received one string: {x[:40]!r}")
        if _is_text(x):
            x = tokenize_to_matrix(self.tokenizer, x, self.max_length)
        if _is_text(y):
            index = {label: i for i, label in enumerate(self.labels)}
            unknown = sorted({str(label) for label in y} - index.keys())
            if unknown:
                raise UserError(
                    f"The classifier does not know the label {unknown[0]!r}"
                    + (f" (nor {len(unknown) - 1} others)" if len(unknown) > 1 else "")
                    + f". It was trained with: {', '.join(self.labels)}."
                )
            y = np.array([index[str(label)] for label in y], "int32")
        elif isinstance(y, (list, tuple)):
            y = np.asarray(y)
        count = len(self.labels)
        is_index = isinstance(y, np.ndarray) and y.dtype.kind in "iu" and y.ndim == 1 and y.size
        if is_index and not 0 <= y.min() <= y.max() < count:
            raise UserError(
                f"The classifier has {count} labels: an index is from 0 to {count - 1}. Received: "
                f"{y.min()} to {y.max()}"
            )
        return x, y

    def _preprocess_dataset(self, dataset: Any) -> Any:
        import tensorflow as tf

        spec = dataset.element_spec
        texts = spec[0] if isinstance(spec, tuple) else spec
        if texts.dtype != tf.string:
            return dataset
        if texts.shape.rank == 0:
            raise UserError("Give a batched dataset of texts: dataset.batch(32)")

        def prepare(texts: Tensor, *rest: Tensor) -> Any:
            token_ids = self.tokenizer.to_tensor(texts, self.max_length)
            return (token_ids, *rest) if rest else token_ids

        return dataset.map(prepare, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """`classify`: token_ids `[B, T]` int32 to probabilities `[B, C]` float32; `classify_text`:
        text `[B, L]` uint8 in UTF-8 and its length in bytes `[B]` int32 to the same, of its first
        `sizes["T"]` tokens, and how many bytes stand behind these.
        """
        most = (sizes or {}).get("T", self.max_length)
        probabilities = TensorSpec("probabilities", "float32", ("B", len(self.labels)))

        def classify(token_ids: Tensor) -> dict[str, Tensor]:
            return {"probabilities": self(token_ids, training=False)}

        def classify_text(text: Tensor, length: Tensor) -> dict[str, Tensor]:
            token_ids = self.tokenizer.token_ids(text, length, most)
            return {**classify(token_ids), "unread": self.tokenizer.unread(token_ids, length)}

        largest = self.backbone.vocabulary_size - 1
        token_ids = TensorSpec("token_ids", "int32", ("B", "T"), minimum=0, maximum=largest)
        text = TensorSpec("text", "uint8", ("B", "L")), TensorSpec("length", "int32", ("B",))
        return (
            Signature("classify", (token_ids,), (probabilities,), classify),
            Signature("classify_text", text, (probabilities, UNREAD), classify_text),
        )

    def signature_inputs(
        self, texts: Sequence[str | bytes], sizes: Mapping[str, int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """The inputs of each signature for `texts`, cut to `sizes["T"]` ids, `sizes["L"]` bytes."""
        text, length = pack_texts([truncate(to_bytes(text), sizes["L"]) for text in texts])
        return {
            "classify": {"token_ids": tokenize_to_matrix(self.tokenizer, texts, sizes["T"])},
            "classify_text": {"text": text, "length": length},
        }

    def random_inputs(
        self, count: int, seed: int, sizes: Mapping[str, int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """`count` rows of random token ids for each signature, from empty to `sizes["T"]`, and the
        texts that random ids stand for.
        """
        generator = np.random.default_rng(seed)
        shape = (count, sizes["T"])
        token_ids = generator.integers(1, self.tokenizer.vocabulary_size, shape, dtype="int32")
        lengths = np.linspace(0, sizes["T"], count).round()
        token_ids[np.arange(sizes["T"]) >= lengths[:, None]] = 0
        texts = self.tokenizer.decode_bytes(token_ids)
        return self.signature_inputs(texts, sizes) | {"classify": {"token_ids": token_ids}}

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The largest size of each dimension of a signature that has one, whatever is asked for."""
        # A character has four bytes at most: so the last token is whole, too.
        longest = self.tokenizer.bytes_a_token * self.max_length + 3
        return {"T": self.max_length, "L": longest}

    def describe(self) -> dict[str, Any]:
        """Backbone and sizes, for the manifest of a bundle."""
        backbone = self.backbone
        return {
            "backbone": getattr(backbone, "cell", "transformer"),
            "bidirectional": not backbone.causal,
            "vocabulary_size": backbone.vocabulary_size,
            "hidden_dim": backbone.hidden_dim,
            "parameters": int(self.count_params()),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
            "labels": self.labels,
            "max_length": self.max_length,
            "pooling": self.pooling,
            "dropout": self.dropout_rate,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TextClassifier":
        for part in ("backbone", "tokenizer"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


def _is_text(values: Any) -> bool:
    if isinstance(values, (list, tuple)):
        return any(isinstance(value, (str, bytes)) for value in values)
    return isinstance(values, np.ndarray) and values.dtype.kind in "USO"
