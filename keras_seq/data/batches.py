"""Batches of one size and few lengths, in an order that depends on the seed and the step only.

A step is compiled once for each shape: every batch has the same number of rows, and its length is
one of a few. The batch of a step is a function of the step's number, so that a resumed run
continues with the batch it would have had.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_seq.errors import UserError
from keras_seq.text.token_rows import TokenRows

MIN_BUCKET_LENGTH = 16
MIN_BATCHES_PER_BUCKET = 8  # per epoch; fewer are not worth a compilation


class Batch(NamedTuple):
    """The examples of a step.

    Attributes:
        x: Inputs `(B, T)`, or several of them with B rows each.
        y: Targets `(B, …)`.
        weight: Float32 weights of the shape of y or `(B,)`; 0 where a row only fills the batch up.
    """

    x: np.ndarray | tuple[np.ndarray, ...]
    y: np.ndarray
    weight: np.ndarray


class Batches:
    """Base: `batches[step]` for steps from 0 on, over any number of epochs.

    A subclass has `steps_per_epoch`, `_epoch(epoch)`, which returns an order, and `_batch`.
    """

    steps_per_epoch: int
    weighted_fraction = 1.0  # the share of an epoch's rows whose weight is not 0

    def __init__(self) -> None:
        self._current: tuple[int, Any] | None = None

    def _epoch(self, epoch: int) -> Any:
        """Returns the order of an epoch, such that `_batch(order, i)` is its batch i."""
        raise NotImplementedError

    def _batch(self, order: Any, index: int) -> Batch:
        raise NotImplementedError

    def tokens(self, batch: Batch) -> int:
        """Counts the tokens of a batch that are not padding."""
        return int(np.count_nonzero(batch.x[batch.weight > 0]))

    def describe(self) -> str:
        """Returns what a step reads, in words."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __getitem__(self, step: int) -> Batch:
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._current is None or self._current[0] != epoch:
            self._current = (epoch, self._epoch(epoch))
        return self._batch(self._current[1], index)

    def __iter__(self) -> Iterator[Batch]:
        """Yields the batches of the first epoch."""
        return (self[i] for i in range(len(self)))


class TextBatches(Batches):
    """Batches of texts of about equal length, with a target each.

    Texts that do not fill the last batch of an epoch are left out of that epoch.

    Args:
        tokens: Token ids of the texts, as from `tokenize_cached`.
        targets: Targets `(N, …)`.
        batch_size: Rows per batch; N where there are fewer.
        max_length: Largest number of tokens; longer texts are cut.
        seed: Random seed of the order.
    """

    def __init__(
        self, tokens: TokenRows, targets: np.ndarray, batch_size: int, max_length: int, seed: int
    ) -> None:
        super().__init__()
        self.rows, self.targets, self.seed = tokens, targets, seed
        self.batch_size = min(batch_size, len(tokens))
        lengths = np.minimum(tokens.lengths, max_length)
        self.buckets = Buckets(lengths, lambda _: self.batch_size, max_length)
        self.steps_per_epoch = self.buckets.batches

    def describe(self) -> str:
        return f"{self.batch_size} texts"

    def _epoch(self, epoch: int) -> list[tuple[np.ndarray, int]]:
        return self.buckets.order(np.random.default_rng((self.seed, epoch)))

    def _batch(self, order: list[tuple[np.ndarray, int]], index: int) -> Batch:
        rows, length = order[index]
        weight = np.ones(len(rows), "float32")
        return Batch(self.rows.pad(rows, length), self.targets[rows], weight)


class HeldOutBatches(Batches):
    """Batches of every text once, in order; the last one is filled up with rows of weight 0.

    Args:
        tokens: Token ids of the texts, as from `tokenize_cached`.
        targets: Targets `(N, …)`.
        batch_size: Rows per batch.
        max_length: Largest number of tokens; longer texts are cut.
    """

    def __init__(
        self, tokens: TokenRows, targets: np.ndarray, batch_size: int, max_length: int
    ) -> None:
        super().__init__()
        self.rows, self.targets = tokens, targets
        self.batch_size, self.max_length = batch_size, max_length
        self.steps_per_epoch = -(-len(tokens) // batch_size)
        self.weighted_fraction = len(tokens) / (self.steps_per_epoch * batch_size)

    def _epoch(self, epoch: int) -> None:
        return None

    def _batch(self, order: None, index: int) -> Batch:
        rows = np.arange(index * self.batch_size, (index + 1) * self.batch_size)
        real = rows < len(self.rows)
        rows = np.where(real, rows, 0)
        weight = real.astype("float32")
        return Batch(self.rows.pad(rows, self.max_length), self.targets[rows], weight)


class PackedBatches(Batches):
    """Batches of blocks of a long row of tokens, without padding: y is x shifted by one token.

    The tokens are read pass after pass, each cut at other positions and in another order.

    Args:
        tokens: `(N,)` integers, on disk or in memory.
        batch_size: Rows per batch.
        block: Tokens per row.
        seed: Random seed of the order and the cuts.
        steps_per_epoch: Batches per epoch; by default about one pass.
        beginning: An id that replaces the first token of one row in 16, so that the beginning of a
            text is also learnt where texts are long and rarely begin.

    Raises:
        UserError: If there are too few tokens for one batch.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        batch_size: int,
        block: int,
        seed: int,
        steps_per_epoch: int | None = None,
        beginning: int | None = None,
    ) -> None:
        super().__init__()
        self.ids, self.batch_size, self.block, self.seed = tokens, batch_size, block, seed
        self.beginning = beginning
        # One block less than fits: the first cut is up to a block behind the beginning.
        self.blocks = (len(tokens) - 1) // block - 1
        if self.blocks < batch_size:
            raise UserError(
                f"A batch of {batch_size} blocks of {block} tokens needs "
                f"{(batch_size + 1) * block + 1:,} tokens. Received: {len(tokens):,}. Lower the "
                "batch size or the length of the blocks, or give more text."
            )
        self.steps_per_epoch = steps_per_epoch or self.blocks // batch_size
        self._pass: tuple[int, Any] | None = None

    def __getitem__(self, step: int) -> Batch:
        rows = range(step * self.batch_size, (step + 1) * self.batch_size)
        ids = np.stack([self._row(*divmod(row, self.blocks)) for row in rows]).astype("int32")
        x = ids[:, :-1].copy()
        if self.beginning is not None:
            generator = np.random.default_rng((self.seed, step, 1))
            x[generator.random(len(x)) < 1 / 16, 0] = self.beginning
        return Batch(x, ids[:, 1:], np.ones(x.shape, "float32"))

    def _row(self, number: int, index: int) -> np.ndarray:
        if self._pass is None or self._pass[0] != number:
            generator = np.random.default_rng((self.seed, number))
            first = generator.integers(self.block)
            self._pass = number, first + self.block * generator.permutation(self.blocks)
        start = self._pass[1][index]
        return self.ids[start : start + self.block + 1]

    def tokens(self, batch: Batch) -> int:
        return batch.x.size

    def describe(self) -> str:
        return f"{self.batch_size} × {self.block} tokens"


class HeldOutBlocks(Batches):
    """Batches of successive blocks of a long row of tokens, once; y is x shifted by one token.

    The last batch is filled up with rows of weight 0; tokens that do not fill a block are left out.

    Args:
        tokens: `(N,)` integers.
        batch_size: Rows per batch.
        block: Tokens per row; fewer where there are not as many.
    """

    def __init__(self, tokens: np.ndarray, batch_size: int, block: int) -> None:
        super().__init__()
        self.ids, self.batch_size = tokens, batch_size
        self.block = min(block, len(tokens) - 1)
        if self.block < 1:
            raise UserError(
                f"There are {len(tokens)} tokens to evaluate on, and two are the least. Give more "
                "text."
            )
        self.blocks = (len(tokens) - 1) // self.block
        self.steps_per_epoch = -(-self.blocks // batch_size)
        self.weighted_fraction = self.blocks / (self.steps_per_epoch * batch_size)

    def _epoch(self, epoch: int) -> None:
        return None

    def _batch(self, order: None, index: int) -> Batch:
        rows = np.arange(index * self.batch_size, (index + 1) * self.batch_size)
        real = rows < self.blocks
        starts = np.where(real, rows, 0) * self.block
        ids = np.stack([self.ids[start : start + self.block + 1] for start in starts])
        ids = ids.astype("int32")
        weight = np.repeat(real.astype("float32")[:, None], self.block, axis=1)
        return Batch(ids[:, :-1], ids[:, 1:], weight)


class Buckets:
    """Groups rows of about the same length.

    A bucket holds rows up to its boundary. The boundaries are `longest` and its halves, or the
    lengths below it in steps of `step`. Rows that do not fill the last batch of a bucket move to
    the next longer one, other rows in each epoch.

    Args:
        lengths: `(N,)`, the length of each row.
        batch_size: Rows per batch as a function of the boundary: constant, or fewer for longer
            rows.
        longest: The last boundary.
        step: Distance between two boundaries; 0 for halves.
    """

    def __init__(self, lengths: np.ndarray, batch_size: Any, longest: int, step: int = 0) -> None:
        boundaries = [longest]
        while boundaries[0] > max(MIN_BUCKET_LENGTH, step):
            shorter = boundaries[0] - step if step else -(-boundaries[0] // 2)
            boundaries.insert(0, shorter)
        while len(boundaries) > 1:
            smallest = np.count_nonzero(lengths <= boundaries[0])
            if smallest >= MIN_BATCHES_PER_BUCKET * batch_size(boundaries[0]):
                break
            boundaries.pop(0)
        self.sizes = [(boundary, batch_size(boundary)) for boundary in boundaries]
        self.members = []
        left = np.arange(len(lengths))
        for boundary in boundaries:
            fits = lengths[left] <= boundary
            self.members.append(left[fits])
            left = left[~fits]
        carried, self.batches = 0, 0
        for (_, size), members in zip(self.sizes, self.members, strict=True):
            full, carried = divmod(len(members) + carried, size)
            self.batches += full

    def order(self, generator: np.random.Generator) -> list[tuple[np.ndarray, int]]:
        """Returns the batches of an epoch: rows, and the boundary they are padded to."""
        batches: list[tuple[np.ndarray, int]] = []
        carried: Sequence[int] = np.zeros(0, "int64")
        for (boundary, size), members in zip(self.sizes, self.members, strict=True):
            rows = np.concatenate([carried, generator.permutation(members)])
            full = len(rows) // size
            batches += [(rows[i * size : (i + 1) * size], boundary) for i in range(full)]
            carried = rows[full * size :]
        return [batches[i] for i in generator.permutation(len(batches))]
