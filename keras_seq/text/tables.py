"""What the tensor programs on texts share: tables of integers, looked up and packed."""

from typing import Any

import numpy as np
from keras import ops

from keras_seq import lookup
from keras_seq.typing import Tensor


def small(values: np.ndarray) -> np.ndarray:
    """Integers as int16 where they fit, else as int32."""
    return values.astype("int16" if np.abs(values).max(initial=0) < 1 << 15 else "int32")


def take(table: Any, index: Tensor) -> Tensor:
    """`table[index]` along the first axis, as int32; no index is negative."""
    return ops.cast(lookup.take(table, index), "int32")


def compacted(ids: Tensor, chosen: Tensor, width: int | Tensor) -> Tensor:
    """Those of `ids` that are chosen, in order: `(B, T)` to `(B, width)`, padded with 0."""
    rows = ops.shape(ids)[0]
    place = ops.cumsum(ops.cast(chosen, "int32"), axis=1) - 1
    # All that is left out falls into one more column.
    place = ops.where(chosen, ops.minimum(place, width), width)
    offset = ops.reshape(ops.arange(rows, dtype="int32"), (-1, 1)) * (width + 1)
    place = ops.reshape(place + offset, (-1, 1))
    made = ops.scatter(place, ops.reshape(ids, (-1,)), (rows * (width + 1),))
    return ops.reshape(made, (-1, width + 1))[:, :width]
