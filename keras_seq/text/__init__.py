"""Tokenizers: trained, saved and loaded, and as programs inside a graph."""

from keras_seq.text.byte_tokenizer import ByteTokenizer
from keras_seq.text.sentencepiece import SentencePieceTokenizer
from keras_seq.text.tokenizer import Tokenizer

__all__ = ["ByteTokenizer", "SentencePieceTokenizer", "Tokenizer"]
