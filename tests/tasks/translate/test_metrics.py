import math

import pytest

from keras_seq.tasks.translate.metrics import translation_metrics


def test_bleu_of_a_sentence_by_hand():
    """Papineni et al. 2002: precisions of 1 to 4 words, and no brevity penalty."""
    found = ["the cat sat on the mat today"]
    expected = ["the cat sat on a mat today"]
    metrics = translation_metrics(found, expected)
    precisions = (6 / 7, 4 / 6, 2 / 5, 1 / 4)
    assert metrics["bleu"] == pytest.approx(100 * math.prod(precisions) ** 0.25)
    assert metrics["exact"] == 0


def test_case_and_languages_without_spaces():
    metrics = translation_metrics(["A MAN walks here", "x"], ["a man walks here", "x"])
    assert metrics["bleu"] < 50
    assert metrics["bleu_lowercase"] == pytest.approx(100)
    assert metrics["exact"] == 0.5
    chinese = translation_metrics(["我是一个人。"], ["我是一个好人。"], "zh")
    assert "tok:zh" in chinese["signature"]
    assert chinese["bleu"] > 20 > translation_metrics(["我是一个人。"], ["我是一个好人。"])["bleu"]
