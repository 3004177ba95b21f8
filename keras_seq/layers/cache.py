"""A cache of keys or values, and where in it a step stands.

A format may have an operator of its own that writes into a tensor; it puts its rule in the place of
ours while a model is traced, as `recurrence.lowering` does for recurrences:

    with writing(rule):
        trace(model)

Where tensors may change their size from turn to turn, the caches of a loop need hold no more than
what was read; `growing` says so.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_seq.layers.positions import Rotation
from keras_seq.layers.tracing import setting
from keras_seq.typing import Tensor


class Place(NamedTuple):
    """Where in a cache of S positions a step stands, for all layers alike.

    Attributes:
        position: `(B, 1, 1, 1)` int32.
        here: `(B, 1, S, 1)` boolean, True where the step's key and value go; None where the cache
            grows by them.
        seen: `(B, 1, 1, S)` boolean, True for what the step may look at; None for all.
        rotation: Of the position; see `RotaryPositions`.
    """

    position: Tensor
    here: Tensor | None
    seen: Tensor | None
    rotation: Rotation | None = None

    @classmethod
    def at(cls, position: Tensor, size: int, rotation: Rotation | None = None) -> "Place":
        """The place `position`, `(B,)` int32, in a cache of `size` positions."""
        position = ops.reshape(position, (-1, 1, 1, 1))
        slots = np.arange(size, dtype="int32")
        return cls(
            position,
            ops.equal(slots[None, None, :, None], position),
            ops.less_equal(slots[None, None, None, :], position),
            rotation,
        )

    @classmethod
    def after(
        cls, position: Tensor, seen: Tensor | None = None, rotation: Rotation | None = None
    ) -> "Place":
        """Behind all that a cache holds; S of `seen` counts this position, too."""
        position = ops.reshape(position, (-1, 1, 1, 1))
        return cls(position, None, seen, rotation)


Rule = Callable[[Tensor, Tensor, Place], Tensor]


def chosen(cache: Tensor, new: Tensor, place: Place) -> Tensor:
    """Our own rule: a choice for each position."""
    return ops.where(place.here, new, cache)


_rule: ContextVar[Rule] = ContextVar("keras_seq_cache_rule", default=chosen)


def written(cache: Tensor, new: Tensor, place: Place) -> Tensor:
    """`(B, nh, S, hs)` with `new`, `(B, nh, 1, hs)`, at each row's place."""
    if place.here is None:
        return ops.concatenate([cache, new], axis=2)
    return _rule.get()(cache, new, place)


def writing(rule: Rule) -> AbstractContextManager[None]:
    """Inside, caches are written by `rule`, which does what `written` says."""
    return setting(_rule, rule)


_grows: ContextVar[bool] = ContextVar("keras_seq_growing_caches", default=False)


def growing() -> AbstractContextManager[None]:
    """Inside, the caches of loops grow."""
    return setting(_grows, True)


def nothing_read(batch_size: int | Tensor) -> Tensor:
    """`(B, 1, 1, 0)` boolean: what `seen` of a `Place` begins with where caches grow."""
    return ops.zeros((batch_size, 1, 1, batch_size * 0), dtype="bool")


def read_on(read: Tensor, position: Tensor) -> Tensor:
    """`read` with one more place, which is at `position`, `(B,)` int32, and is seen."""
    return ops.concatenate([read, ops.reshape(position >= 0, (-1, 1, 1, 1))], axis=3)


def slots_in_loop(slots: int) -> int | None:
    """How many positions the cache of a loop has that needs `slots`; None where it grows."""
    return None if _grows.get() else slots
