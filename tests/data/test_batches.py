import numpy as np

from keras_seq.data.batches import ShuffledBatches


def epoch(batches):
    return np.concatenate([batches[i][0] for i in range(len(batches))])


def test_each_epoch_has_every_row_once_in_a_new_order():
    x = np.arange(12)
    batches = ShuffledBatches(x, -x, batch_size=4, seed=3)
    first = epoch(batches)
    assert sorted(first) == list(x)
    assert all((batches[i][0] == -batches[i][1]).all() for i in range(3))
    batches.on_epoch_end()
    second = epoch(batches)
    assert sorted(second) == list(x)
    assert (first != second).any()


def test_order_depends_on_the_seed_alone():
    x = np.arange(50)
    same = [epoch(ShuffledBatches(x, x, 10, seed)) for seed in (1, 1, 2)]
    assert (same[0] == same[1]).all()
    assert (same[0] != same[2]).any()


def test_batches_have_one_size():
    batches = ShuffledBatches(np.arange(10), np.arange(10), batch_size=4, seed=0)
    assert [len(batches[i][0]) for i in range(len(batches))] == [4, 4]
    assert len(ShuffledBatches(np.arange(3), np.arange(3), 64, 0)[0][0]) == 3
