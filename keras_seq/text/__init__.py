"""Tokenizers: trained, saved and loaded."""

from keras_seq.text.tokenizer import SentencePieceTokenizer

__all__ = ["SentencePieceTokenizer"]
