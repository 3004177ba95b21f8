"""The tokenizer whose tokens are bytes."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from keras_seq.text.hugging_face import to_tokenizer_json
from keras_seq.text.tokenizer import (
    FIRST_BYTE,
    FIRST_PIECE,
    Tensor,
    Tokenizer,
    byte_pieces,
    encode_utf8,
)


@keras.saving.register_keras_serializable("keras_seq")
class ByteTokenizer(Tokenizer):
    """The bytes of a text in UTF-8 are its tokens: 260 ids, and nothing to train."""

    vocabulary_size = FIRST_PIECE
    fingerprint = "bytes"
    max_bytes_per_token = 1

    def pieces(self) -> list[bytes]:
        return byte_pieces()

    def encode(self, texts: Iterable[str | bytes]) -> list[list[int]]:
        return [[byte + FIRST_BYTE for byte in text] for text in encode_utf8(texts)]

    def sample(self, texts: Iterable[str | bytes], alpha: float, seed: int) -> list[list[int]]:
        return self.encode(texts)  # There is only one segmentation.

    def to_tensor(self, texts: Tensor, max_length: int) -> Tensor:
        import tensorflow as tf

        content = tf.io.decode_raw(texts, tf.uint8, fixed_length=max_length)
        content = tf.ensure_shape(content, (None, max_length))
        return self.token_ids(content, tf.strings.length(texts), max_length)

    def to_json(self) -> str:
        return to_tokenizer_json(self.pieces(), ())

    def token_ids(self, text: Tensor, length: Tensor, max_length: int) -> Tensor:
        size = ops.shape(text)[1]
        if isinstance(size, int):
            width: Any = min(max_length, size)
        else:
            width = ops.minimum(max_length, ops.maximum(ops.max(length), 1))
        ids = ops.cast(text[:, :width], "int32") + FIRST_BYTE
        within = ops.arange(width, dtype="int32")[None, :] < length[:, None]
        return ops.where(within, ids, 0)

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ByteTokenizer":
        return cls(**config)
