import random

import pytest

from keras_seq.data import LabelledTexts
from keras_seq.errors import UserError


def numbered(count):
    return LabelledTexts([f"text {i}" for i in range(count)], [str(i % 3) for i in range(count)])


def test_hold_out_does_not_depend_on_order():
    examples = numbered(200)
    order = list(range(200))
    random.Random(1).shuffle(order)
    _, held_out = examples.hold_out(40)
    _, shuffled = examples.take(order).hold_out(40)
    assert len(held_out) == 40
    assert sorted(held_out.texts) == sorted(shuffled.texts)


def test_a_few_of_the_examples_are_part_of_more_of_them():
    examples = numbered(100)
    few, more = examples.at_most(10), examples.at_most(40)
    assert (len(few), len(more)) == (10, 40)
    assert set(few.texts) < set(more.texts)
    assert examples.at_most(100) == examples.at_most(500) == examples


def test_hold_out_keeps_labels_with_their_texts():
    rest, held_out = numbered(100).hold_out(30)
    pairs = set(zip(rest.texts + held_out.texts, rest.labels + held_out.labels, strict=True))
    assert pairs == {(f"text {i}", str(i % 3)) for i in range(100)}


def test_equal_texts_stay_on_one_side():
    examples = LabelledTexts([f"text {i % 7}" for i in range(70)], ["a"] * 70)
    for count in range(1, 60):
        rest, held_out = examples.hold_out(count)
        assert not set(rest.texts) & set(held_out.texts)
        assert count <= len(held_out) < count + 10


def test_too_few_to_hold_out():
    with pytest.raises(UserError, match="1 different texts"):
        LabelledTexts(["same"] * 5, ["a", "b", "a", "b", "a"]).hold_out(1)
    with pytest.raises(UserError, match="Give more"):
        numbered(3).hold_out(3)


def test_lone_surrogates_are_texts_too():
    rest, held_out = LabelledTexts(["\ud800", "a", "b"], ["x", "y", "x"]).hold_out(1)
    assert len(rest) == 2
    assert len(held_out) == 1
