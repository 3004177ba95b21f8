import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_seq.data.batches import (
    Buckets,
    HeldOutBatches,
    HeldOutBlocks,
    PackedBatches,
    TextBatches,
)
from keras_seq.errors import UserError
from keras_seq.text.token_rows import TokenRows


def drawn(count, longest=50, seed=0):
    """Rows of token ids 1, 2 …; the target of row i is i."""
    lengths = np.random.default_rng(seed).integers(0, longest + 1, count)
    ends = np.cumsum(lengths)
    return TokenRows(np.arange(1, ends[-1] + 1), ends), np.arange(count)


def epoch(batches, number=0):
    first = number * len(batches)
    return [batches[first + i] for i in range(len(batches))]


def test_a_row_is_its_text_and_its_target():
    rows, targets = drawn(300)
    batches = TextBatches(rows, targets, 8, 40, seed=1)
    for batch in epoch(batches):
        assert batch.x.shape[0] == 8
        for ids, target, weight in zip(*batch, strict=True):
            text = rows.ids[rows.ends[target] - rows.lengths[target] : rows.ends[target]][:40]
            assert ids[: len(text)].tolist() == text.tolist()
            assert not ids[len(text) :].any()
            assert weight == 1


def test_each_epoch_has_every_row_once_but_for_a_rest_in_a_new_order():
    rows, targets = drawn(301)
    batches = TextBatches(rows, targets, 8, 50, seed=1)
    assert len(batches) == 37
    orders = [np.concatenate([batch.y for batch in epoch(batches, n)]) for n in (0, 1)]
    for order in orders:
        assert len(order) == len(set(order)) == 296
    assert (orders[0] != orders[1]).any()


def test_what_a_step_gets_depends_on_the_seed_and_the_step_alone():
    rows, targets = drawn(200)
    batches = TextBatches(rows, targets, 8, 50, seed=1)
    straight = [batches[step].y for step in range(3 * len(batches))]
    fresh = TextBatches(rows, targets, 8, 50, seed=1)
    for step in (70, 3, 40, 69):
        np.testing.assert_array_equal(fresh[step].y, straight[step])
    other = TextBatches(rows, targets, 8, 50, seed=2)
    assert any((other[step].y != straight[step]).any() for step in range(5))


def test_lengths_are_few_and_little_is_padded():
    rows, targets = drawn(2000, longest=64)
    batches = TextBatches(rows, targets, 16, 64, seed=0)
    shapes = {batch.x.shape for batch in epoch(batches)}
    assert shapes == {(16, 16), (16, 32), (16, 64)}
    real = sum(batches.tokens(batch) for batch in epoch(batches))
    room = sum(batch.x.size for batch in epoch(batches))
    assert real / room > 0.7
    assert batches.tokens(batches[0]) == np.count_nonzero(batches[0].x)


def test_few_rows_make_one_shape():
    rows, targets = drawn(20, longest=64)
    assert {batch.x.shape for batch in epoch(TextBatches(rows, targets, 8, 64, 0))} == {(8, 64)}
    assert {batch.x.shape for batch in epoch(TextBatches(rows, targets, 64, 64, 0))} == {(20, 64)}


@given(
    lengths=st.lists(st.integers(0, 100), min_size=1, max_size=300),
    tokens=st.integers(100, 400),
    seed=st.integers(0, 5),
)
def test_buckets_hold_what_fits(lengths, tokens, seed):
    """With as many rows as fit a number of tokens: fewer where they are longer."""
    lengths = np.array(lengths)
    buckets = Buckets(lengths, lambda boundary: tokens // boundary, 100)
    order = buckets.order(np.random.default_rng(seed))
    assert len(order) == buckets.batches
    seen = np.concatenate([[], *(rows for rows, _ in order)])
    assert len(seen) == len(set(seen))
    assert len(lengths) - len(seen) < tokens // 100 or not order
    for rows, boundary in order:
        assert len(rows) == tokens // boundary
        assert lengths[rows].max() <= boundary


def test_held_out_batches_have_every_row_once_in_order():
    rows, targets = drawn(21)
    batches = HeldOutBatches(rows, targets, 8, 50)
    found = list(batches)
    assert [batch.x.shape for batch in found] == [(8, 50)] * 3
    counted = np.concatenate([batch.y[batch.weight > 0] for batch in found])
    np.testing.assert_array_equal(counted, targets)
    assert batches.weighted_fraction == 21 / 24
    assert sum(batches.tokens(batch) for batch in found) == rows.lengths.sum()


def test_packed_batches_predict_the_next_token():
    tokens = np.arange(1000, dtype="uint16")
    batches = PackedBatches(tokens, 4, 10, seed=0)
    assert len(batches) == 24
    first = []
    for step in range(98):  # four passes of 98 blocks
        batch = batches[step]
        np.testing.assert_array_equal(batch.y, batch.x + 1)
        assert batch.x.shape == batch.weight.shape == (4, 10)
        assert batch.x.dtype == batch.y.dtype == "int32"
        assert batches.tokens(batch) == 40
        first += batch.x[:, 0].tolist()
    passes = np.reshape(first, (4, 98))
    for read in passes:
        assert len(set(read)) == 98
        assert len(set(read % 10)) == 1  # they do not overlap
    assert len(set(passes[:, 0] % 10)) > 1  # cut elsewhere in each pass
    again = PackedBatches(tokens, 4, 10, 0, steps_per_epoch=7)
    assert len(again) == 7
    np.testing.assert_array_equal(again[50].x, batches[50].x)


def test_some_rows_begin_as_a_text_does():
    batches = PackedBatches(np.arange(10, 2010), 16, 10, seed=0, beginning=2)
    rows = np.concatenate([batches[step].x for step in range(50)])
    targets = np.concatenate([batches[step].y for step in range(50)])
    begun = rows[:, 0] == 2
    assert 0.03 < begun.mean() < 0.1
    np.testing.assert_array_equal(rows[:, 1:] + 1, targets[:, 1:])
    np.testing.assert_array_equal(rows[~begun] + 1, targets[~begun])


def test_held_out_blocks_are_read_once():
    batches = HeldOutBlocks(np.arange(100), 4, 10)
    found = [batches[step] for step in range(len(batches))]
    counted = np.concatenate([batch.x[batch.weight[:, 0] > 0] for batch in found])
    np.testing.assert_array_equal(counted.reshape(-1), np.arange(90))
    assert all((batch.y == batch.x + 1).all() for batch in found)
    assert batches.weighted_fraction == 9 / 12
    assert HeldOutBlocks(np.arange(5), 4, 10)[0].x.shape == (4, 4)
    with pytest.raises(UserError, match="There are 1 tokens"):
        HeldOutBlocks(np.arange(1), 4, 10)


def test_too_little_to_pack():
    with pytest.raises(UserError, match=r"needs 51 tokens. Received: 50"):
        PackedBatches(np.arange(50), 4, 10, 0)
    assert len(PackedBatches(np.arange(51), 4, 10, 0)) == 1
    assert PackedBatches(np.arange(51), 4, 10, 0)[7].x.shape == (4, 10)
