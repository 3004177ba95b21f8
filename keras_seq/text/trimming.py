"""Strips ASCII white space around texts, in Python and as tensors."""

from keras import ops

from keras_seq.typing import Tensor

SPACE = b" \t\n\v\f\r"


def strip_text(text: bytes) -> bytes:
    """Returns a text without white space at either end."""
    return text.strip(SPACE)


def strip_rows(text: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """Strips texts `(B, L)` uint8 of `length` bytes each, `(B,)` int32: `(text, length)`."""
    codes = ops.cast(text, "int32")
    positions = ops.expand_dims(ops.arange(ops.shape(codes)[1], dtype="int32"), axis=0)  # (1, L)
    count = ops.expand_dims(length, axis=1)  # (B, 1)
    is_space = ops.logical_or(
        ops.equal(codes, ord(" ")), ops.logical_and(codes >= ord("\t"), codes <= ord("\r"))
    )
    is_text = ops.logical_and(ops.logical_not(is_space), positions < count)
    end = ops.max(ops.where(is_text, positions + 1, 0), axis=1, keepdims=True)
    start = ops.minimum(ops.min(ops.where(is_text, positions, count), axis=1, keepdims=True), end)
    last = ops.shape(codes)[1] - 1
    shifted = ops.take_along_axis(codes, ops.minimum(positions + start, last), axis=1)
    new_length = end - start
    rows = ops.cast(ops.where(positions < new_length, shifted, 0), "uint8")
    return rows, ops.squeeze(new_length, axis=1)
