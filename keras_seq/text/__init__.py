"""Tokenizers: trained, saved and loaded, and as programs inside a graph.

Importing the package imports neither Keras nor SentencePiece: `utf8`, `streaming` and `token_rows`
serve devices that only run bundles.
"""

from typing import TYPE_CHECKING

from keras_seq._lazy import lazy_names

if TYPE_CHECKING:
    from keras_seq.text.byte_tokenizer import ByteTokenizer
    from keras_seq.text.sentencepiece import SentencePieceTokenizer
    from keras_seq.text.tokenizer import Tokenizer

__all__ = ["ByteTokenizer", "SentencePieceTokenizer", "Tokenizer"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ByteTokenizer": "keras_seq.text.byte_tokenizer",
        "SentencePieceTokenizer": "keras_seq.text.sentencepiece",
        "Tokenizer": "keras_seq.text.tokenizer",
    },
)
