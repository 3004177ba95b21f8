"""Indexes with new axes, such as `x[:, None]`, which TFLite converts for known sizes only."""

from typing import Any

import tensorflow as tf

from keras_seq.typing import Tensor

_get_item = tf.Tensor.__getitem__


def get_item(x: Tensor, index: Any) -> Tensor:
    """Returns `x[index]`; its new axes are added afterwards."""
    entries = index if isinstance(index, tuple) else (index,)
    new_axes = _find_new_axes(entries, x.shape.rank)
    if not new_axes:
        return _get_item(x, index)
    x = _get_item(x, tuple(entry for entry in entries if entry is not None))
    for axis in new_axes:
        x = tf.expand_dims(x, axis)
    return x


def _find_new_axes(entries: tuple, rank: int | None) -> list[int]:
    """Returns the places of new axes in the result; none where they depend on an unknown rank."""
    found, axis = [], 0
    for entry in entries:
        if entry is None:
            found.append(axis)
        if entry is Ellipsis:
            if rank is None:
                return []
            axis += rank - sum(one is not None and one is not Ellipsis for one in entries)
        elif entry is None or isinstance(entry, slice):
            axis += 1
    return found


RULES = ((tf.Tensor, "__getitem__", get_item),)
