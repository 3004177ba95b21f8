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
    steps = tf.shape(xs[0])[0] if static is None else static
    unrolled = steps_per_turn if static is not None and steps_per_turn > 1 else 1
    remainder = static % unrolled if unrolled > 1 else 0
    turns = (steps - remainder) // unrolled

    inputs = [
        tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:], clear_after_read=False).unstack(x)
        for x in xs
    ]
    outputs = tf.TensorArray(state[0].dtype, steps if sequence else 0, element_shape=state[0].shape)

    def advance(t: Tensor, state: State, outputs: Any) -> tuple[State, Any]:
        index = steps - 1 - t if reverse else t
        state = step(state, tuple(x.read(index) for x in inputs))
        return state, outputs.write(index, state[0]) if sequence else outputs

    def turn(i: Tensor, state: State, outputs: Any) -> tuple[Tensor, State, Any]:
        for k in range(unrolled):
            state, outputs = advance(i * unrolled + k, state, outputs)
        return i + 1, state, outputs

    _, state, outputs = tf.while_loop(
        lambda i, *_: i < turns,
        turn,
        (tf.constant(0), tuple(state), outputs),
        maximum_iterations=turns,
    )
    for k in range(remainder):
        state, outputs = advance(turns * unrolled + k, state, outputs)
    return outputs.stack() if sequence else None, state
