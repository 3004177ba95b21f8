"""Batches for a masked language model."""

import numpy as np

from keras_seq.data.batches import Batch, Batches


class MaskedBatches(Batches):
    """Blocks in which a share of the tokens is hidden and has to be predicted.

    `x` is the block `(B, T)` and the masked positions in it, rising, `(B, K)`; `y` is the original
    tokens there. Of these, 80 % are hidden, 10 % are replaced by another token and 10 % stay
    (Devlin et al. 2019, BERT). Every row has K = T · share positions; those beyond the tokens that
    it has weigh 0, and the others so much more.

    Args:
        blocks: `PackedBatches` or `HeldOutBlocks`.
        vocabulary_size: Number of token ids.
        mask: The id that hides a token.
        first: The lowest id of a text; lower ones are never hidden.
        seed: Random seed.
        share: Share of the tokens that is masked; at least one per row.
    """

    def __init__(
        self,
        blocks: Batches,
        vocabulary_size: int,
        mask: int,
        first: int,
        seed: int,
        share: float = 0.15,
    ) -> None:
        super().__init__()
        self.blocks, self.seed, self.share = blocks, seed, share
        self.vocabulary_size, self.mask, self.first = vocabulary_size, mask, first
        self.steps_per_epoch = len(blocks)
        self.weighted_fraction = blocks.weighted_fraction

    def __getitem__(self, step: int) -> Batch:
        x, _, weight = self.blocks[step]
        generator = np.random.default_rng((self.seed, step, 2))
        count = max(1, round(self.share * x.shape[1]))
        order = generator.random(x.shape) + (x < self.first)
        positions = np.sort(np.argpartition(order, count - 1, axis=1)[:, :count], axis=1)
        original = np.take_along_axis(x, positions, axis=1)
        draw = generator.random(positions.shape)
        other = generator.integers(self.first, self.vocabulary_size, positions.shape, dtype="int32")
        visible = np.where(draw < 0.8, self.mask, np.where(draw < 0.9, other, original))
        is_token = original >= self.first
        hidden = x.copy()
        np.put_along_axis(hidden, positions, np.where(is_token, visible, original), axis=1)
        weight = np.take_along_axis(weight, positions, axis=1) * is_token
        weight *= count / np.maximum(is_token.sum(axis=1, keepdims=True), 1)
        return Batch(
            (hidden.astype("int32"), positions.astype("int32")), original, weight.astype("float32")
        )

    def tokens(self, batch: Batch) -> int:
        return batch.x[0].size

    def describe(self) -> str:
        return self.blocks.describe()
