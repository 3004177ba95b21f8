"""Tables of integers for the tensor programs on texts: lookup and compaction."""

from typing import Any

import numpy as np
from keras import ops

from keras_seq import lookup
from keras_seq.typing import Tensor


def narrow(values: np.ndarray) -> np.ndarray:
    """Returns integers as int16 where they fit, else as int32."""
    return values.astype("int16" if np.abs(values).max(initial=0) < 1 << 15 else "int32")


def take(table: Any, index: Tensor) -> Tensor:
    """Returns `table[index]` along the first axis, as int32; no index is negative."""
    return ops.cast(lookup.take(table, index), "int32")


def compact(ids: Tensor, mask: Tensor, width: int | Tensor) -> Tensor:
    """Moves the ids where `mask` is True to the left: `(B, T)` to `(B, width)`, padded with 0."""
    rows = ops.shape(ids)[0]
    position = ops.cumsum(ops.cast(mask, "int32"), axis=1) - 1
    # The other ids fall into one more column.
    position = ops.where(mask, ops.minimum(position, width), width)
    offset = ops.reshape(ops.arange(rows, dtype="int32"), (-1, 1)) * (width + 1)
    position = ops.reshape(position + offset, (-1, 1))
    moved = ops.scatter(position, ops.reshape(ids, (-1,)), (rows * (width + 1),))
    return ops.reshape(moved, (-1, width + 1))[:, :width]
