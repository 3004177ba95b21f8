"""Stop texts inside a graph: where a text ends because of them. The rule is `TextStream`'s."""

from keras import ops

from keras_seq.lookup import take
from keras_seq.typing import Tensor

NOWHERE = 1 << 30


def find_stops(text: Tensor, length: Tensor, stop: Tensor, stop_length: Tensor) -> Tensor:
    """Returns where the stop text begins that is complete first; the longest of several.

    Args:
        text: `(B, M)` uint8.
        length: `(B,)` int32, the number of bytes of each text.
        stop: `(E, W)` uint8, stop texts.
        stop_length: `(E,)` int32, the number of bytes of each; 0 stops nothing.

    Returns:
        `(B,)` int32; `length` where a text has none of them.
    """
    size = ops.shape(text)[1]
    text, stop = ops.cast(text, "int32"), ops.cast(stop, "int32")
    begin = ops.reshape(ops.arange(size, dtype="int32"), (1, 1, -1))
    lengths = ops.reshape(stop_length, (1, -1, 1))
    fits = ops.logical_and(begin + lengths <= ops.reshape(length, (-1, 1, 1)), lengths > 0)

    def turn(j: Tensor, rest: Tensor, same: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        code = ops.reshape(take(stop, j, axis=1), (1, -1, 1))
        equal = ops.logical_or(ops.equal(ops.expand_dims(rest, axis=1), code), lengths <= j)
        rest = ops.concatenate([rest[:, 1:], ops.zeros_like(rest[:, :1])], axis=1)
        return j + 1, rest, ops.logical_and(same, equal)

    longest = ops.max(stop_length)
    first = ops.zeros((), dtype="int32")
    _, _, same = ops.while_loop(lambda j, *_: j < longest, turn, (first, text, fits))
    begin = ops.min(ops.where(same, begin, NOWHERE), axis=2)  # (B, E)
    end = begin + ops.reshape(stop_length, (1, -1))
    is_first = ops.equal(end, ops.min(end, axis=1, keepdims=True))
    begin = ops.where(is_first, begin, NOWHERE)
    return ops.minimum(ops.min(begin, axis=1), length)


def cut_at_stops(
    text: Tensor, length: Tensor, stop: Tensor, stop_length: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns texts and their lengths up to the first stop text; see `find_stops`."""
    end = find_stops(text, length, stop, stop_length)
    within = ops.arange(ops.shape(text)[1], dtype="int32")[None, :] < end[:, None]
    return ops.cast(ops.where(within, ops.cast(text, "int32"), 0), "uint8"), end
