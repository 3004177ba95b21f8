import numpy as np
import pytest

from keras_seq.tasks.classify.metrics import classification_metrics


def test_against_counts_by_hand():
    #            a  a  a  b  b  c
    true = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 0, 0])
    found = classification_metrics(true, predicted, ["a", "b", "c"])
    assert found["accuracy"] == pytest.approx(3 / 6)
    assert found["examples"] == 6
    a, b, c = (found["labels"][label] for label in "abc")
    assert (a["precision"], a["recall"]) == pytest.approx((2 / 4, 2 / 3))
    assert a["f1"] == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))
    assert (b["precision"], b["recall"], b["f1"]) == pytest.approx((1 / 2, 1 / 2, 1 / 2))
    assert (c["precision"], c["recall"], c["f1"], c["examples"]) == (0, 0, 0, 1)
    assert found["recall"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found["precision"] == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
