"""Token ids to bytes as a tensor program: gathers, and a running sum."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_seq.text.tables import compact, narrow, take
from keras_seq.typing import Tensor


@dataclass(frozen=True)
class PieceTables:
    """The pieces of a vocabulary, joined.

    Attributes:
        content: `(total,)` uint8, the bytes of all pieces.
        starts: `(vocabulary,)`, where each piece begins.
        lengths: `(vocabulary,)`, the bytes of each piece; 0 for special ids.
    """

    content: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def build(cls, pieces: list[bytes]) -> "PieceTables":
        lengths = np.array([len(piece) for piece in pieces])
        content = np.frombuffer(b"".join(pieces), "uint8")
        return cls(content, narrow(np.cumsum(lengths) - lengths), narrow(lengths))


def join_pieces(
    tables: PieceTables, token_ids: Tensor, max_bytes: int | None = None
) -> tuple[Tensor, Tensor]:
    """Joins the pieces of ids; see `Tokenizer.text`."""
    rows, count = ops.shape(token_ids)[0], ops.shape(token_ids)[1]
    size = count * int(tables.lengths.max()) if max_bytes is None else max_bytes
    # An id without bytes would begin where the next one does.
    token_ids = compact(token_ids, take(tables.lengths, token_ids) > 0, count)
    lengths = take(tables.lengths, token_ids)
    ends = ops.cumsum(lengths, axis=1)
    starts = ends - lengths
    position = ops.where((lengths > 0) & (starts < size), starts, size)
    offset = ops.reshape(ops.arange(rows, dtype="int32"), (-1, 1)) * (size + 1)
    begins = ops.scatter(
        ops.reshape(position + offset, (-1, 1)),
        ops.ones_like(ops.reshape(position, (-1,))),
        (rows * (size + 1),),
    )
    begins = ops.reshape(begins, (-1, size + 1))[:, :size]
    offset = ops.reshape(ops.arange(rows, dtype="int32"), (-1, 1)) * count
    which = ops.maximum(ops.cumsum(begins, axis=1) - 1, 0) + offset  # (B, L) of all ids
    j = ops.arange(size, dtype="int32")[None, :]
    within = j - take(ops.reshape(starts, (-1,)), which)
    source = take(tables.starts, take(ops.reshape(token_ids, (-1,)), which)) + within
    total = ends[:, -1]
    length = ops.minimum(total, size)
    last = int(tables.content.shape[0]) - 1
    content = take(tables.content, ops.clip(source, 0, last))
    if max_bytes is not None:
        length = _drop_partial_character(content, length, total)
    content = ops.where(j < length[:, None], content, 0)
    return ops.cast(content, "uint8"), length


def _drop_partial_character(content: Tensor, length: Tensor, total: Tensor) -> Tensor:
    """Returns `length` without a trailing partial UTF-8 character of a text that was cut."""
    size = ops.shape(content)[1]
    j = ops.arange(size, dtype="int32")[None, :]
    begins = ops.logical_or(content < 0x80, content >= 0xC0)
    last = ops.max(ops.where(begins, j, 0), axis=1)  # where the last character begins
    lead = ops.max(ops.where(ops.equal(j, last[:, None]), content, 0), axis=1)
    needed = 1 + ops.cast(lead >= 0xC0, "int32") + ops.cast(lead >= 0xE0, "int32")
    needed = needed + ops.cast(lead >= 0xF0, "int32")
    return ops.where((total > length) & (last + needed > length), last, length)
