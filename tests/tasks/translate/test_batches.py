import numpy as np
import pytest

from keras_seq.tasks.translate.batches import HeldOutPairs, PairBatches
from keras_seq.text.token_rows import TokenRows


def pairs(count, longest=20, seed=0):
    """Sources and targets of drawn lengths; every token of pair i is 10 + i."""
    lengths = np.random.default_rng(seed).integers(1, longest + 1, 2 * count)
    ids = np.repeat(np.tile(np.arange(count), 2) + 10, lengths)
    return TokenRows(ids, np.cumsum(lengths))


def test_pairs_stand_beside_each_other():
    rows = pairs(900)
    batches = PairBatches(rows, 120, 16, seed=0, beginning=2, end=3)
    seen, shapes = [], set()
    for batch in batches:
        (source, read), told = batch.x, batch.y
        shapes.add(told.shape)
        assert told.shape == read.shape
        assert told.size <= 120
        numbers = source[:, 0] - 10
        seen += numbers.tolist()
        for i, number in enumerate(numbers):
            lengths = [min(n, 16) for n in rows.lengths[[number, 900 + number]]]
            assert source[i].tolist() == [number + 10] * lengths[0] + [0] * (
                source.shape[1] - lengths[0]
            )
            ids = [number + 10] * lengths[1]
            rest = [0] * (told.shape[1] - lengths[1] - 1)
            assert read[i].tolist() == [2, *ids, *rest]
            assert told[i].tolist() == [*ids, 3, *rest]
        np.testing.assert_array_equal(batch.weight > 0, told > 0)
        assert batch.weight.mean() == pytest.approx(1)
        assert batches.tokens(batch) == (told > 0).sum()
    assert len(seen) == len(set(seen)) > 890
    assert len(shapes) > 1


def test_each_epoch_is_drawn_anew():
    """The same pairs every epoch, of other lengths; a step gets the same batch when asked again."""
    draw = [pairs(900, seed=seed) for seed in range(3)].__getitem__
    batches = PairBatches(pairs(900, seed=9), 120, 16, 0, 2, 3, draw)
    steps = len(batches)
    for epoch in range(3):
        seen = 0
        for step in range(epoch * steps, (epoch + 1) * steps):
            (source, _), told = batches[step].x, batches[step].y
            assert told.size <= 120
            lengths = np.minimum(draw(epoch).lengths, 16)
            numbers = source[:, 0] - 10
            np.testing.assert_array_equal((source > 0).sum(axis=1), lengths[numbers])
            np.testing.assert_array_equal((told > 0).sum(axis=1), lengths[900 + numbers] + 1)
            seen += len(numbers)
        assert seen > 850
    again = PairBatches(pairs(900, seed=9), 120, 16, 0, 2, 3, draw)
    for found, expected in zip(again[steps + 3].x, batches[steps + 3].x, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_held_out_pairs_count_each_token_once():
    rows = pairs(21)
    batches = HeldOutPairs(PairBatches(rows, 1000, 16, 0, 2, 3), 8)
    found = list(batches)
    assert len({batch.y.shape for batch in found}) == 1
    targets = np.minimum(rows.lengths[21:], 16) + 1
    total = sum((batch.weight > 0).sum() for batch in found)
    assert total == targets.sum()
    losses = [np.where(batch.y == 3, 5.0, 1.0) for batch in found]
    # As Keras takes it: the mean over all places of all batches, which are of one shape.
    mean = np.mean(
        [(loss * batch.weight).mean() for loss, batch in zip(losses, found, strict=True)]
    )
    assert mean == pytest.approx((targets.sum() - 21 + 5 * 21) / targets.sum())
