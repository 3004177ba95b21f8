import numpy as np
import pandas as pd
import pytest

from keras_seq.errors import UserError
from keras_seq.text.utf8 import is_text, list_texts

PAIR = ["a film", "é"]


@pytest.mark.parametrize(
    "texts",
    [
        PAIR,
        tuple(PAIR),
        iter(PAIR),
        np.array(PAIR),
        np.array(PAIR, object)[:, None],
        pd.Series(PAIR),
        pd.Series(PAIR, dtype="string"),
        pd.Series(PAIR, dtype="category"),
        pd.Index(PAIR),
    ],
)
def test_every_form_of_texts(texts):
    if not hasattr(texts, "__next__"):
        assert is_text(texts)
    assert list_texts(texts) == PAIR


@pytest.mark.parametrize("text", ["a film", b"\xff", np.str_("a film"), np.array("a film")])
def test_one_text_is_a_list_of_one(text):
    assert is_text(text)
    assert list_texts(text) == [text]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (None, "Received: None"),
        (7, r"Received: 7 \(int\)"),
        ({"a": 1}, "(dict)"),
        (["a", 7], r"item 1: 7 \(int\)"),
        (pd.Series(["a", None]), "item 1: None"),
        (np.zeros((2, 2)), "item 0"),
        ([["a"]], "item 0: a list of 1, the first one 'a'"),
    ],
)
def test_what_is_no_text_is_named(wrong, words):
    with pytest.raises(UserError, match=f"^prompt: .*{words}"):
        list_texts(wrong, "prompt")


def test_numbers_are_no_texts():
    for values in ([1, 2], np.zeros(3), pd.Series([1, 2]), [], None, 5):
        assert not is_text(values)


def test_the_only_column_of_a_table_is_its_texts():
    table = pd.DataFrame({"body": ["a", "b"], "mood": ["x", "y"]})
    assert list_texts(table[["body"]]) == ["a", "b"]
    with pytest.raises(UserError, match="one column.*body, mood"):
        list_texts(table)
