"""Batches of pairs with about the same number of tokens each."""

from collections.abc import Callable

import numpy as np

from keras_seq.data.batches import Batch, Batches, Buckets
from keras_seq.text.token_rows import TokenRows

BUCKET_STEP = 8  # between the lengths of two buckets


class PairBatches(Batches):
    """Batches of sources and targets of about equal length, with `batch_tokens` tokens each.

    `x` is the source `(B, S)` and the target `(B, T)` behind the beginning token; `y` is the target
    before the end token. Each is cut to `max_length` tokens. The weights of `y` are 0 where it is
    padding, and 1 on average.

    Args:
        tokens: Rows of token ids: the sources, then as many targets.
        batch_tokens: Tokens of a batch on either side, padding included.
        max_length: Largest number of tokens of a source, and of a target.
        seed: Random seed of the order.
        beginning: The id before a target.
        end: The id behind a target.
        sample: Segments the same texts in another way in each epoch; by default each epoch
            is made of `tokens`, like any other.
    """

    def __init__(
        self,
        tokens: TokenRows,
        batch_tokens: int,
        max_length: int,
        seed: int,
        beginning: int,
        end: int,
        sample: Callable[[int], TokenRows] | None = None,
    ) -> None:
        super().__init__()
        self.rows, self.count, self.seed = tokens, len(tokens) // 2, seed
        self.batch_tokens, self.max_length = batch_tokens, max_length
        self.beginning, self.end = beginning, end
        self.sample = sample or (lambda epoch: tokens)
        first = self._epoch(0)
        self._current = (0, first)
        # Other epochs may have a few batches more, which are dropped, or less, which are repeated.
        self.steps_per_epoch = len(first[1])

    def _epoch(self, epoch: int) -> tuple[TokenRows, list[tuple[np.ndarray, int]]]:
        tokens = self.sample(epoch)
        lengths = tokens.lengths.reshape(2, self.count).max(axis=0)
        buckets = Buckets(
            np.minimum(lengths, self.max_length) + 1,
            lambda boundary: min(max(1, self.batch_tokens // boundary), self.count),
            self.max_length + 1,
            BUCKET_STEP,
        )
        return tokens, buckets.order(np.random.default_rng((self.seed, epoch)))

    def _batch(self, epoch: tuple[TokenRows, list[tuple[np.ndarray, int]]], index: int) -> Batch:
        tokens, order = epoch
        rows, width = order[index % len(order)]
        batch = self.make_batch(tokens, rows, width)
        return batch._replace(weight=batch.weight * (batch.weight.size / batch.weight.sum()))

    def make_batch(self, tokens: TokenRows, rows: np.ndarray, width: int) -> Batch:
        """Returns the pairs `rows` of `tokens`, padded to `width`, with weights of 0 and 1."""
        source = tokens.pad(rows, min(width, self.max_length))
        target = tokens.pad(rows + self.count, width - 1)
        read = np.insert(target, 0, self.beginning, axis=1)
        shifted = np.pad(target, ((0, 0), (0, 1)))
        shifted[np.arange(len(rows)), np.count_nonzero(target, axis=1)] = self.end
        return Batch((source, read), shifted, (shifted > 0).astype("float32"))

    def describe(self) -> str:
        return f"{self.batch_tokens:,} tokens"

    def tokens(self, batch: Batch) -> int:
        """Counts the tokens of the targets."""
        return int(np.count_nonzero(batch.y))


class HeldOutPairs(Batches):
    """Batches of every pair once, in order and of one shape; the mean loss is that per token.

    Args:
        pairs: The pairs, as batches to learn from.
        batch_size: Rows per batch.
    """

    def __init__(self, pairs: PairBatches, batch_size: int) -> None:
        super().__init__()
        self.pairs, self.batch_size = pairs, min(batch_size, pairs.count)
        longest = int(pairs.rows.lengths.max(initial=0))
        self.width = min(longest, pairs.max_length) + 1
        self.steps_per_epoch = -(-pairs.count // self.batch_size)
        targets = np.minimum(pairs.rows.lengths[pairs.count :], pairs.max_length) + 1
        self.scale = self.steps_per_epoch * self.batch_size * self.width / targets.sum()

    def _epoch(self, epoch: int) -> None:
        return None

    def _batch(self, order: None, index: int) -> Batch:
        rows = np.arange(index * self.batch_size, (index + 1) * self.batch_size)
        real = rows < self.pairs.count
        batch = self.pairs.make_batch(self.pairs.rows, np.where(real, rows, 0), self.width)
        weight = batch.weight * real[:, None] * self.scale
        return batch._replace(weight=weight.astype("float32"))
