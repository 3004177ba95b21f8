"""Labelled texts: public data sets by name, and the user's own files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_seq.data.corpus import Corpus, LabelledTexts
from keras_seq.data.download import RemoteFile, locate
from keras_seq.data.movie_reviews import load_movie_reviews
from keras_seq.data.reading import read_labelled_texts
from keras_seq.data.source import DataSet, DataSource
from keras_seq.errors import UserError
from keras_seq.options import option

HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class LabelledTextSource(DataSource):
    """A data set of labelled texts by its name, or a `.csv`, `.tsv` or `.jsonl` file.

    A tenth of a user's file is held out, selected by the hash of each text.
    """

    text_column: str = option("text", "column of the text", metavar="NAME", kw_only=True)
    label_column: str = option("label", "column of the label", metavar="NAME", kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the user's own table."""
        return self.text_column, self.label_column

    def read(self) -> LabelledTexts:
        """Reads all examples in the user's own file."""
        path = Path(self.name_or_path)
        if not path.exists() and not path.suffix:
            raise UserError(
                f"{self.name_or_path!r} is neither a data set nor a file. Data sets: "
                f"{self.describe_data_sets()}. Files end in .csv, .tsv or .jsonl."
            )
        return read_labelled_texts(path, self.text_column, self.label_column)

    def split(self) -> Corpus:
        """Reads the user's own file and holds a tenth of the examples out."""
        examples = self.read()
        train, held_out = examples.hold_out(max(1, round(len(examples) * HELD_OUT_SHARE)))
        return Corpus(name=Path(self.name_or_path).name, train=train, held_out=held_out)


def all_classes(corpus: Corpus) -> tuple[str, ...]:
    """Returns the labels of a corpus of labelled texts, held-out ones included, sorted."""
    labels = corpus.train.labels + corpus.held_out.labels
    return LabelledTexts(labels, labels).classes()


def select_held_out_texts(corpus: Corpus, count: int) -> tuple[Sequence[str], str]:
    """Returns at most `count` held-out texts, and what they are."""
    return corpus.held_out.texts[:count], f"held-out texts of {corpus.name}"


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


def _load_sst2(source: DataSource) -> Corpus:
    def read(file: RemoteFile) -> LabelledTexts:
        lines = locate(file, source.data_dir).read_text("utf-8").splitlines()
        texts, labels = zip(*(line.rsplit("\t", 1) for line in lines), strict=True)
        return LabelledTexts(list(texts), ["positive" if i == "1" else "negative" for i in labels])

    return Corpus(name="sst2", train=read(_SST2_TRAIN), held_out=read(_SST2_DEV))


LabelledTextSource.data_sets = {
    "movie_reviews": DataSet(
        "25,000 IMDB film reviews, positive or negative, 5,000 of them held out",
        load_movie_reviews,
    ),
    "sst2": DataSet(
        "Stanford Sentiment Treebank, 6,920 sentences, positive or negative, 872 held out",
        _load_sst2,
    ),
}
