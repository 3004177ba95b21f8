"""Arrays in shuffled batches of one size."""

from typing import Any

import keras
import numpy as np


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of `x` and `y`, in a new order each epoch.

    Every batch has the same size, so that a compiled step is compiled once: what does not fill the
    last batch of an epoch is left out of that epoch. The order depends on the seed and the epoch
    alone.

    Args:
        x: `(N, …)`.
        y: `(N, …)`.
        batch_size: Rows of a batch; N where there are fewer.
        seed: Of the order.
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray, batch_size: int, seed: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.x, self.y = x, y
        self.batch_size = min(batch_size, len(x))
        self.seed = seed
        self.epoch = 0
        self._order = self._shuffled()

    def _shuffled(self) -> np.ndarray:
        return np.random.default_rng((self.seed, self.epoch)).permutation(len(self.x))

    def __len__(self) -> int:
        return len(self.x) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.x[rows], self.y[rows]

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._order = self._shuffled()
