"""The signatures of a text classifier, and the inputs that prove them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_seq.signature import UNREAD, Signature, TensorSpec
from keras_seq.text.token_rows import tokenize_to_matrix
from keras_seq.text.utf8 import pack_texts, to_bytes, truncate
from keras_seq.typing import Arrays, Tensor


class ClassifierSignatures:
    """The signatures of a `TextClassifier`.

    Args:
        model: The classifier.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """Returns `classify` and `classify_text`.

        `classify` maps token_ids `[B, T]` int32 to probabilities `[B, C]` float32. `classify_text`
        maps text `[B, L]` uint8 in UTF-8 and its length in bytes `[B]` int32 to the probabilities
        of its first `sizes["T"]` tokens and the number of bytes behind these.
        """
        model = self._model
        max_tokens = (sizes or {}).get("T", model.max_length)
        probabilities = TensorSpec("probabilities", "float32", ("B", len(model.labels)))

        def classify(token_ids: Tensor) -> dict[str, Tensor]:
            return {"probabilities": model(token_ids, training=False)}

        def classify_text(text: Tensor, length: Tensor) -> dict[str, Tensor]:
            token_ids = model.tokenizer.token_ids(text, length, max_tokens)
            return {**classify(token_ids), "unread": model.tokenizer.unread(token_ids, length)}

        largest = model.embedding.vocabulary_size - 1
        token_ids = TensorSpec("token_ids", "int32", ("B", "T"), minimum=0, maximum=largest)
        text = TensorSpec("text", "uint8", ("B", "L")), TensorSpec("length", "int32", ("B",))
        return (
            Signature("classify", (token_ids,), (probabilities,), classify),
            Signature("classify_text", text, (probabilities, UNREAD), classify_text),
        )

    def signature_inputs(
        self, texts: Sequence[str | bytes], sizes: Mapping[str, int]
    ) -> dict[str, Arrays]:
        """Returns the inputs of each signature for `texts`, cut to `sizes["T"]` tokens."""
        text, length = pack_texts([truncate(to_bytes(text), sizes["L"]) for text in texts])
        return {
            "classify": {"token_ids": tokenize_to_matrix(self._model.tokenizer, texts, sizes["T"])},
            "classify_text": {"text": text, "length": length},
        }

    def random_inputs(self, count: int, seed: int, sizes: Mapping[str, int]) -> dict[str, Arrays]:
        """Returns `count` rows of random token ids, from none to `sizes["T"]`, and their texts."""
        generator = np.random.default_rng(seed)
        shape, vocabulary_size = (count, sizes["T"]), self._model.tokenizer.vocabulary_size
        token_ids = generator.integers(1, vocabulary_size, shape, dtype="int32")
        lengths = np.linspace(0, sizes["T"], count).round()
        token_ids[np.arange(sizes["T"]) >= lengths[:, None]] = 0
        texts = self._model.tokenizer.decode_bytes(token_ids)
        return self.signature_inputs(texts, sizes) | {"classify": {"token_ids": token_ids}}

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Returns the largest number of tokens, T, and of bytes of a text, L."""
        model = self._model
        # A character has four bytes at most: so the last token is whole, too.
        return {
            "T": model.max_length,
            "L": model.tokenizer.max_bytes_per_token * model.max_length + 3,
        }
