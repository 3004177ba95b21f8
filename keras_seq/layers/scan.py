"""A step function carried along the time axis, in the form each backend trains fastest."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_seq.layers.cells import State, Tensor

Step = Callable[[State, tuple[Tensor, ...]], State]
Scan = Callable[..., tuple[Tensor | None, State]]


def scan(
    step: Step,
    state: State,
    xs: tuple[Tensor, ...],
    *,
    reverse: bool = False,
    sequence: bool = True,
) -> tuple[Tensor | None, State]:
    """Carries `state` through `step` once for every time step of `xs`.

    Args:
        step: `step(state, x_t) -> state`; `x_t` holds one time step of each tensor of `xs`. The
            first tensor of the state is the output of the step.
        state: Tensors `(B, ...)` before the first step.
        xs: Time-major tensors `(T, B, ...)`.
        reverse: Walk from the last time step to the first. Outputs keep the order of `xs`.
        sequence: Collect the output of every step; without it nothing but the state is kept.

    Returns:
        `(outputs, state)`: `(T, B, ...)`, or None without `sequence`; and the last state.
    """
    if keras.backend.backend() == "tensorflow":
        return _scan_tensorflow(step, state, xs, reverse, sequence)

    def body(carry: State, x_t: tuple[Tensor, ...]) -> tuple[State, Tensor | None]:
        carry = step(carry, x_t)
        return carry, carry[0] if sequence else None

    state, outputs = ops.scan(body, state, xs, reverse=reverse)
    return outputs, state


def _scan_tensorflow(
    step: Step, state: State, xs: tuple, reverse: bool, sequence: bool
) -> tuple[Tensor | None, State]:
    # keras.ops.scan on TensorFlow keeps its carry in TensorArrays and wants outputs of the carry's
    # structure; a plain while_loop trains faster and converts to ONNX's Loop.
    import tensorflow as tf

    static = xs[0].shape[0]
    steps = tf.shape(xs[0])[0] if static is None else static
    arrays = [
        tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:], clear_after_read=False).unstack(x)
        for x in xs
    ]

    # Without `sequence` there is no array of outputs: one of no size does not convert to ONNX.
    collected: tuple[Any, ...] = ()
    if sequence:
        shape = state[0].shape
        collected = (tf.TensorArray(state[0].dtype, steps, element_shape=shape),)

    def turn(i: Tensor, state: State, collected: tuple) -> tuple[Tensor, State, tuple]:
        index = steps - 1 - i if reverse else i
        state = step(state, tuple(array.read(index) for array in arrays))
        return i + 1, state, tuple(array.write(index, state[0]) for array in collected)

    _, state, collected = tf.while_loop(
        lambda i, *_: i < steps,
        turn,
        (tf.constant(0), tuple(state), collected),
        maximum_iterations=steps,
    )
    if not sequence:
        return None, state
    return tf.ensure_shape(collected[0].stack(), [static, *state[0].shape]), state
