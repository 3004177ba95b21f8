import itertools

import numpy as np
import tensorflow as tf

from keras_seq.data.batches import PackedBatches, TextBatches
from keras_seq.data.feed import feed
from keras_seq.tasks.translate.batches import PairBatches
from keras_seq.text.token_rows import TokenRows

BATCHES = PackedBatches(np.arange(1, 400), 4, 10, seed=0)


def test_begins_at_a_step_and_does_not_end():
    steps = 3 * len(BATCHES)
    for start in (0, 5, len(BATCHES) - 1):
        found = list(itertools.islice(feed(BATCHES, start), steps))
        for step, batch in enumerate(found, start):
            for tensor, array in zip(batch, BATCHES[step], strict=True):
                np.testing.assert_array_equal(tensor, array)
                assert tensor.dtype == array.dtype


def test_processes_share_each_batch():
    parts = [next(iter(feed(BATCHES, 7, (i, 2)))) for i in range(2)]
    for pair, whole in zip(zip(*parts, strict=True), BATCHES[7], strict=True):
        np.testing.assert_array_equal(np.concatenate(pair), whole)


def test_lengths_may_differ_and_tokens_are_noted():
    lengths = np.random.default_rng(0).integers(1, 65, 600)
    ends = np.cumsum(lengths)
    targets = lengths.astype("int32")
    batches = TextBatches(TokenRows(np.ones(ends[-1], "int32"), ends), targets, 8, 64, 0)
    noted = {}
    stream = feed(batches, 3, note=noted.__setitem__)
    for step, (x, y, _) in zip(range(3, 3 + len(batches)), stream, strict=False):
        assert noted[step] == tf.reduce_sum(x) == tf.reduce_sum(y)
    assert len({batch.x.shape[1] for batch in batches}) > 1


def test_inputs_may_be_several():
    rows = TokenRows(np.arange(4, 604), np.arange(5, 605, 5))
    batches = PairBatches(rows, 60, 8, 0, 2, 3)
    parts = [next(iter(feed(batches, 1, (i, 2)))) for i in range(2)]
    (source, read), told, _ = batches[1]
    for i, part in enumerate(parts):
        half = slice(i * len(told) // 2, (i + 1) * len(told) // 2)
        np.testing.assert_array_equal(part[0][0], source[half])
        np.testing.assert_array_equal(part[0][1], read[half])
        np.testing.assert_array_equal(part[1], told[half])
