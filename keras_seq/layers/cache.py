"""A cache of keys or values, and where in it a step stands."""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_seq.layers.lowering import get_lowering
from keras_seq.layers.positions import Rotation
from keras_seq.typing import Tensor


class CachePosition(NamedTuple):
    """Where in a cache of S positions a step stands, for all layers alike.

    Attributes:
        position: `(B, 1, 1, 1)` int32.
        update_mask: `(B, 1, S, 1)` boolean, True where the step's key and value go; None where the
            cache grows by them.
        attention_mask: `(B, 1, 1, S)` boolean, True for the positions that the step attends to;
            None for all.
        rotation: Rotation of the position; see `RotaryPositions`.
    """

    position: Tensor
    update_mask: Tensor | None
    attention_mask: Tensor | None
    rotation: Rotation | None = None

    @classmethod
    def at(
        cls, position: Tensor, cache_length: int, rotation: Rotation | None = None
    ) -> "CachePosition":
        """Returns the position `position`, `(B,)` int32, in a cache of a fixed length."""
        position = ops.reshape(position, (-1, 1, 1, 1))
        positions = np.arange(cache_length, dtype="int32")
        return cls(
            position,
            ops.equal(positions[None, None, :, None], position),
            ops.less_equal(positions[None, None, None, :], position),
            rotation,
        )

    @classmethod
    def after(
        cls,
        position: Tensor,
        attention_mask: Tensor | None = None,
        rotation: Rotation | None = None,
    ) -> "CachePosition":
        """Returns the position behind all that a cache holds; `attention_mask` includes it."""
        position = ops.reshape(position, (-1, 1, 1, 1))
        return cls(position, None, attention_mask, rotation)


def select_update(cache: Tensor, new: Tensor, cache_position: CachePosition) -> Tensor:
    """Returns the cache with `new` in its place, selected element by element."""
    return ops.where(cache_position.update_mask, new, cache)


def update_cache(cache: Tensor, new: Tensor, cache_position: CachePosition) -> Tensor:
    """Returns the cache `(B, nh, S, hs)` with `new`, `(B, nh, 1, hs)`, at each row's position."""
    if cache_position.update_mask is None:
        return ops.concatenate([cache, new], axis=2)
    update = get_lowering().update_cache or select_update
    return update(cache, new, cache_position)


def empty_mask(batch_size: int | Tensor) -> Tensor:
    """Returns the attention mask of a cache that grows and is empty, `(B, 1, 1, 0)` boolean."""
    return ops.zeros((batch_size, 1, 1, batch_size * 0), dtype="bool")


def extend_mask(mask: Tensor, position: Tensor) -> Tensor:
    """Returns an attention mask with one more position, `position`, `(B,)` int32, attended to."""
    return ops.concatenate([mask, ops.reshape(position >= 0, (-1, 1, 1, 1))], axis=3)


def loop_cache_length(cache_length: int) -> int | None:
    """Returns the length of a cache in a loop that needs `cache_length`; None where it grows."""
    return None if get_lowering().growing_caches else cache_length
