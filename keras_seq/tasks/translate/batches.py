"""Batches of pairs, of about so many tokens each."""

from collections.abc import Callable

import numpy as np

from keras_seq.data.batches import Batch, Batches, Buckets
from keras_seq.text.token_rows import TokenRows

STEP = 8  # between the lengths of two kinds of batches


class PairBatches(Batches):
    """Sources and targets of about equal length, as many as make about so many tokens.

    `x` is the source `(B, S)` and the target `(B, T)` after the beginning token, `y` the target
    before the end token, each cut to `max_length` tokens. The weights of `y` are 0 where it is
    padding, and 1 in the mean.

    Args:
        tokens: Rows of token ids, the sources first, then as many targets.
        batch_tokens: Places of a batch on either side, padding included.
        max_length: Of a source, and of a target.
        seed: Of the order.
        beginning: The id that a target begins after.
        end: The id that ends it.
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
        # What other epochs have more is left out of them; what they have less is taken again.
        self.steps_per_epoch = len(first[1])

    def _epoch(self, epoch: int) -> tuple[TokenRows, list[tuple[np.ndarray, int]]]:
        tokens = self.sample(epoch)
        lengths = tokens.lengths.reshape(2, self.count).max(axis=0)
        buckets = Buckets(
            np.minimum(lengths, self.max_length) + 1,
            lambda boundary: min(max(1, self.batch_tokens // boundary), self.count),
            self.max_length + 1,
            STEP,
        )
        return tokens, buckets.order(np.random.default_rng((self.seed, epoch)))

    def _batch(self, epoch: tuple[TokenRows, list[tuple[np.ndarray, int]]], index: int) -> Batch:
        tokens, order = epoch
        rows, places = order[index % len(order)]
        batch = self.pairs(tokens, rows, places)
        return batch._replace(weight=batch.weight * (batch.weight.size / batch.weight.sum()))

    def pairs(self, tokens: TokenRows, rows: np.ndarray, places: int) -> Batch:
        """The pairs `rows` of `tokens`, padded to `places`, with weights of 0 and 1."""
        source = tokens.pad(rows, min(places, self.max_length))
        target = tokens.pad(rows + self.count, places - 1)
        read = np.insert(target, 0, self.beginning, axis=1)
        target_ids = np.pad(target, ((0, 0), (0, 1)))
        target_ids[np.arange(len(rows)), np.count_nonzero(target, axis=1)] = self.end
        return Batch((source, read), target_ids, (target_ids > 0).astype("float32"))

    def describe(self) -> str:
        return f"{self.batch_tokens:,} tokens"

    def tokens(self, batch: Batch) -> int:
        """Counts the tokens of the targets."""
        return int(np.count_nonzero(batch.y))


class HeldOutPairs(Batches):
    """Every pair once, in its order, in batches of one shape; the mean loss is that of a token.

    Args:
        pairs: As batches to learn from.
        batch_size: Rows of a batch.
    """

    def __init__(self, pairs: PairBatches, batch_size: int) -> None:
        super().__init__()
        self.pairs_of, self.batch_size = pairs, min(batch_size, pairs.count)
        longest = int(pairs.rows.lengths.max(initial=0))
        self.places = min(longest, pairs.max_length) + 1
        self.steps_per_epoch = -(-pairs.count // self.batch_size)
        targets = np.minimum(pairs.rows.lengths[pairs.count :], pairs.max_length) + 1
        self.scale = self.steps_per_epoch * self.batch_size * self.places / targets.sum()

    def _epoch(self, epoch: int) -> None:
        return None

    def _batch(self, order: None, index: int) -> Batch:
        rows = np.arange(index * self.batch_size, (index + 1) * self.batch_size)
        real = rows < self.pairs_of.count
        batch = self.pairs_of.pairs(self.pairs_of.rows, np.where(real, rows, 0), self.places)
        weight = batch.weight * real[:, None] * self.scale
        return batch._replace(weight=weight.astype("float32"))
