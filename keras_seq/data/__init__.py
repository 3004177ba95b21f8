"""Data sets by name and by file."""

from keras_seq.data.corpus import Corpus, LabelledTexts
from keras_seq.data.pairs import PairCorpus, Pairs
from keras_seq.data.reading import read_labelled_texts
from keras_seq.tasks.classify.data import SOURCES, load
from keras_seq.tasks.language_modeling.data import TEXT_SOURCES, TextCorpus, load_texts, read_texts
from keras_seq.tasks.translate.data import PAIR_SOURCES, load_pairs, read_pairs

__all__ = [
    "PAIR_SOURCES",
    "SOURCES",
    "TEXT_SOURCES",
    "Corpus",
    "LabelledTexts",
    "PairCorpus",
    "Pairs",
    "TextCorpus",
    "load",
    "load_pairs",
    "load_texts",
    "read_labelled_texts",
    "read_pairs",
    "read_texts",
]
