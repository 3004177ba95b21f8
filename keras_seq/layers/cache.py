"""A cache of keys or values, and where in it a step stands.

A format may have an operator of its own that writes into a tensor; it puts its rule in the place of
ours while a model is traced, as `recurrence.lowering` does for recurrences:

    with writing(rule):
        trace(model)
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from keras import ops

from keras_seq.layers.positions import Rotation

Tensor = Any


class Place(NamedTuple):
    """Where in a cache of S positions a step stands, for all layers alike.

    Attributes:
        position: `(B,)` int32.
        here: `(B, 1, S, 1)` boolean, True where the step's key and value go.
        seen: `(B, 1, 1, S)` boolean, True for the positions up to there.
        rotation: Of the position; see `RotaryPositions`.
    """

    position: Tensor
    here: Tensor
    seen: Tensor
    rotation: Rotation | None = None

    @classmethod
    def at(cls, position: Tensor, size: int, rotation: Rotation | None = None) -> "Place":
        """The place `position`, `(B,)` int32, in a cache of `size` positions."""
        slots = ops.expand_dims(ops.arange(size, dtype="int32"), axis=0)
        column = ops.expand_dims(position, axis=1)
        return cls(
            position,
            ops.expand_dims(ops.equal(slots, column), axis=(1, 3)),
            ops.expand_dims(ops.less_equal(slots, column), axis=(1, 2)),
            rotation,
        )


Rule = Callable[[Tensor, Tensor, Place], Tensor]


def chosen(cache: Tensor, new: Tensor, place: Place) -> Tensor:
    """Our own rule: a choice for each position."""
    return ops.where(place.here, new, cache)


_rule: ContextVar[Rule] = ContextVar("keras_seq_cache_rule", default=chosen)


def written(cache: Tensor, new: Tensor, place: Place) -> Tensor:
    """`(B, nh, S, hs)` with `new`, `(B, nh, 1, hs)`, at each row's place."""
    return _rule.get()(cache, new, place)


@contextlib.contextmanager
def writing(rule: Rule) -> Iterator[None]:
    """Inside, caches are written by `rule`, which does what `written` says."""
    token = _rule.set(rule)
    try:
        yield
    finally:
        _rule.reset(token)
