"""Feeds batches to `fit`."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_seq.data.batches import Batches

Note = Callable[[int, int], None]


def feed(
    batches: Batches, start: int = 0, share: tuple[int, int] = (0, 1), note: Note | None = None
) -> Any:
    """Returns the batches from step `start` on, without end, prepared while a step runs.

    Args:
        batches: The batches.
        start: The first step.
        share: `(i, n)`: the i-th of n parts of each batch, for the i-th of n processes.
        note: Called with the number of each step and the number of tokens in its whole batch.

    Returns:
        A `tf.data.Dataset` with TensorFlow, else a `keras.utils.PyDataset`.
    """
    stream = _Stream(batches, start, share, note)
    if keras.backend.backend() != "tensorflow":
        return stream
    import tensorflow as tf

    def generate() -> Iterator[tuple[np.ndarray, ...]]:
        return (stream[i] for i in itertools.count())

    # The lengths of batches differ: only the rank of each array is the same.
    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec([None] * array.ndim, array.dtype), tuple(batches[start])
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.prefetch(tf.data.AUTOTUNE)


class _Stream(keras.utils.PyDataset):
    def __init__(
        self, batches: Batches, start: int, share: tuple[int, int], note: Note | None
    ) -> None:
        super().__init__()
        self.batches, self.start, self.share, self.note = batches, start, share, note

    @property
    def num_batches(self) -> None:
        return None

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        batch = self.batches[self.start + index]
        if self.note is not None:
            self.note(self.start + index, self.batches.tokens(batch))
        process, count = self.share
        size = len(batch.y) // count
        part = slice(process * size, (process + 1) * size)
        return keras.tree.map_structure(lambda array: array[part], tuple(batch))
