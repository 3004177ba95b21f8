"""A step function carried along the time axis, in the form each backend trains fastest."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensor = Any
State = tuple[Tensor, ...]


def scan(
    step: Callable[[State, tuple[Tensor, ...]], State],
    state: State,
    xs: tuple[Tensor, ...],
    *,
    reverse: bool = False,
    sequence: bool = True,
    steps_per_turn: int = 1,
) -> tuple[Tensor | None, State]:
    """Carries `state` through `step` once for every time step of `xs`.

    Args:
        step: `step(state, x_t) -> state`; `x_t` holds one time step of each tensor of `xs`. The
            first tensor of the state is the output of the step.
        state: Tensors `(B, ...)` before the first step.
        xs: Time-major tensors `(T, B, ...)`.
        reverse: Walk from the last time step to the first. Outputs keep the order of `xs`.
        sequence: Collect the output of every step; without it nothing but the state is kept.
        steps_per_turn: Time steps unrolled in one turn of the loop. An interpreter that pays for
            each turn (TFLite) gains from a few; XLA does not.

    Returns:
        `(outputs, state)`: `(T, B, ...)`, or None without `sequence`; and the last state.
    """
    if keras.backend.backend() == "tensorflow":
        return _scan_tensorflow(step, state, xs, reverse, sequence, steps_per_turn)

    def body(carry: State, x_t: tuple[Tensor, ...]) -> tuple[State, Tensor | None]:
        carry = step(carry, x_t)
        return carry, carry[0] if sequence else None

    state, outputs = ops.scan(body, state, xs, reverse=reverse, unroll=steps_per_turn)
    return outputs, state


def _scan_tensorflow(
    step: Callable, state: State, xs: tuple, reverse: bool, sequence: bool, steps_per_turn: int
) -> tuple[Tensor | None, State]:
    # keras.ops.scan on TensorFlow keeps its carry in TensorArrays and wants outputs of the carry's
    # structure; a plain while_loop trains faster and converts to one built-in WHILE.
    import tensorflow as tf

    static = xs[0].shape[0]
    if static is None:
        steps_per_turn = 1
    steps = tf.shape(xs[0])[0] if static is None else static
    turns = steps // steps_per_turn
    body = turns * steps_per_turn
    # What does not fill a turn is walked last: the end of the sequence, in reverse its beginning.
    rest = 0 if static is None else static - body
    first = rest if reverse else 0

    def blocks(x: Tensor) -> Any:
        shape = tf.concat([[turns, steps_per_turn], tf.shape(x)[1:]], axis=0)
        block = [steps_per_turn, *x.shape[1:]]
        array = tf.TensorArray(x.dtype, turns, element_shape=block, clear_after_read=False)
        return array.unstack(
            tf.ensure_shape(tf.reshape(x[first : first + body], shape), [None, *block])
        )

    def walk(state: State, x: tuple[Tensor, ...], count: int) -> tuple[State, list[Tensor]]:
        outputs = [None] * count
        for k in reversed(range(count)) if reverse else range(count):
            state = step(state, tuple(part[k] for part in x))
            outputs[k] = state[0]
        return state, outputs

    def turn(i: Tensor, state: State, outputs: Any) -> tuple[Tensor, State, Any]:
        index = turns - 1 - i if reverse else i
        state, block = walk(state, tuple(array.read(index) for array in arrays), steps_per_turn)
        return i + 1, state, outputs.write(index, tf.stack(block)) if sequence else outputs

    arrays = [blocks(x) for x in xs]
    _, state, outputs = tf.while_loop(
        lambda i, *_: i < turns,
        turn,
        (
            tf.constant(0),
            tuple(state),
            tf.TensorArray(
                state[0].dtype,
                turns if sequence else 0,
                element_shape=[steps_per_turn, *state[0].shape],
            ),
        ),
        maximum_iterations=turns,
    )
    start = 0 if reverse else body
    state, tail = walk(state, tuple(x[start : start + rest] for x in xs), rest)
    if not sequence:
        return None, state
    outputs = tf.reshape(outputs.stack(), tf.concat([[body], tf.shape(state[0])], axis=0))
    if tail:
        tail = tf.stack(tail)
        outputs = tf.concat([tail, outputs] if reverse else [outputs, tail], axis=0)
    return tf.ensure_shape(outputs, [static, *state[0].shape]), state
