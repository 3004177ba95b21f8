"""Data sets by name and by file."""

from keras_seq.data.examples import Corpus, LabelledTexts
from keras_seq.data.reading import read_labelled_texts
from keras_seq.data.registry import SOURCES, load

__all__ = ["SOURCES", "Corpus", "LabelledTexts", "load", "read_labelled_texts"]
