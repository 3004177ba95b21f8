"""Loops and branches of `keras.ops` in what every format has.

Keras keeps what a scan carries, and what it gives, in TensorArrays. A format has its own form of
`keras_seq.layers.scan.scan`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from keras import tree

from export.keras_layers.patching import get_backend_function, replace_function
from keras_seq.layers import scan as scans
from keras_seq.layers.lowering import get_lowering
from keras_seq.typing import Tensor

_associative_scan = get_backend_function("core", "associative_scan")


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> tuple[Any, Any]:
    """As `keras.ops.scan`, whose outputs have the structure of what it carries.

    Returns:
        `(carry, ys)`.
    """
    first = [tf.convert_to_tensor(part) for part in tree.flatten(init)]
    steps = [tf.convert_to_tensor(part) for part in tree.flatten(xs)] if xs is not None else []
    if length is not None:
        steps = [part[: int(length)] for part in steps]
    count = len(first)

    def step(state: tuple, x: tuple) -> tuple:
        packed = tree.pack_sequence_as(xs, x[: len(steps)]) if steps else None
        carry, ys = f(tree.pack_sequence_as(init, state[count:]), packed)
        given = [] if ys is None else [tf.convert_to_tensor(part) for part in tree.flatten(ys)]
        carried = [tf.convert_to_tensor(part) for part in tree.flatten(carry)]
        return (*given, *state[len(given) : count], *carried)

    run = get_lowering().scan or scans.scan
    counted = tuple(steps) or (tf.zeros([int(length)]),)
    state = (*map(tf.zeros_like, first), *first)
    outputs, last = run(step, state, counted, reverse=reverse, collect=count)
    return (
        tree.pack_sequence_as(init, list(last[count:])),
        tree.pack_sequence_as(init, list(outputs)),
    )


def map_steps(f: Callable[[Any], Any], xs: Any) -> Any:
    """As `keras.ops.map`: a loop that carries nothing."""
    steps = [tf.convert_to_tensor(part) for part in tree.flatten(xs)]
    example = f(tree.pack_sequence_as(xs, [part[0] for part in steps]))
    zeros = tuple(map(tf.zeros_like, tree.flatten(example)))

    def step(state: tuple[Tensor, ...], x: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(map(tf.convert_to_tensor, tree.flatten(f(tree.pack_sequence_as(xs, x)))))

    run = get_lowering().scan or scans.scan
    outputs, _ = run(step, zeros, tuple(steps), collect=len(zeros))
    return tree.pack_sequence_as(example, list(outputs))


def associative_scan(
    f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """As `keras.ops.associative_scan`, in steps of ever more places (Hillis and Steele 1986)."""
    parts = [tf.convert_to_tensor(part) for part in tree.flatten(elems)]
    axis = axis % len(parts[0].shape)
    length = parts[0].shape[axis]
    if length is None:
        return _associative_scan(f, elems, reverse, axis)

    def cut(part: Tensor, start: int, end: int) -> Tensor:
        return part[(slice(None),) * axis + (slice(start, end),)]

    parts = [tf.reverse(part, [axis]) if reverse else part for part in parts]
    width = 1
    while width < length:
        before, after = (
            tree.pack_sequence_as(
                elems, [cut(part, start, start + length - width) for part in parts]
            )
            for start in (0, width)
        )
        joined = tree.flatten(f(before, after))
        pairs = zip(parts, joined, strict=True)
        parts = [tf.concat([cut(old, 0, width), new], axis) for old, new in pairs]
        width *= 2
    parts = [tf.reverse(part, [axis]) if reverse else part for part in parts]
    return tree.pack_sequence_as(elems, parts)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """As `keras.ops.switch`, in branches of two."""
    index = tf.clip_by_value(tf.cast(index, tf.int32), 0, len(branches) - 1)

    def choose(first: int) -> Any:
        if first == len(branches) - 1:
            return branches[first](*operands)
        return tf.cond(
            tf.equal(index, first),
            lambda: branches[first](*operands),
            lambda: choose(first + 1),
        )

    return choose(0)


RULES = (
    *replace_function("core", "associative_scan", associative_scan),
    *replace_function("core", "switch", switch),
    *replace_function("core", "scan", scan),
    *replace_function("core", "map", map_steps),
)
