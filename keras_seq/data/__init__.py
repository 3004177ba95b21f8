"""Reading, holding out, downloading and batching of training data, whatever the task."""

from keras_seq.data.corpus import Corpus, Examples, LabelledTexts, Pairs, Texts
from keras_seq.data.source import DataSet, DataSource

__all__ = ["Corpus", "DataSet", "DataSource", "Examples", "LabelledTexts", "Pairs", "Texts"]


def __dir__() -> list[str]:
    return sorted(__all__)
