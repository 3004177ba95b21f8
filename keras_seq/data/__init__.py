"""Data sets by name and by file."""

from keras_seq.data.examples import Corpus, LabelledTexts
from keras_seq.data.reading import read_labelled_texts
from keras_seq.data.registry import SOURCES, load
from keras_seq.data.texts import TEXT_SOURCES, TextCorpus, load_texts, read_texts

__all__ = [
    "SOURCES",
    "TEXT_SOURCES",
    "Corpus",
    "LabelledTexts",
    "TextCorpus",
    "load",
    "load_texts",
    "read_labelled_texts",
    "read_texts",
]
