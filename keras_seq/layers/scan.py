"""Carries a step function along the time axis, in the form that each backend trains fastest."""

from collections.abc import Callable

import keras
from keras import ops

from keras_seq.layers.cells import CellState
from keras_seq.typing import Tensor

Step = Callable[[CellState, tuple[Tensor, ...]], CellState]
Scan = Callable[..., tuple[CellState, CellState]]


def scan(
    step: Step,
    state: CellState,
    xs: tuple[Tensor, ...],
    *,
    reverse: bool = False,
    collect: int = 1,
) -> tuple[CellState, CellState]:
    """Carries `state` through `step` once for every time step of `xs`.

    Args:
        step: `step(state, x_t) -> state`; `x_t` holds one time step of each tensor of `xs`.
        state: Tensors `(B, ...)` before the first step.
        xs: Time-major tensors `(T, B, ...)`.
        reverse: Walk from the last time step to the first. Outputs keep the order of `xs`.
        collect: How many tensors of the state, from its first, are kept of every step.

    Returns:
        `(outputs, state)`: a tensor `(T, B, ...)` for each one collected; and the last state.
    """
    if keras.backend.backend() == "tensorflow":
        return _scan_tensorflow(step, tuple(state), xs, reverse, collect)

    def body(carry: CellState, x_t: tuple[Tensor, ...]) -> tuple[CellState, CellState]:
        carry = step(carry, x_t)
        return carry, carry[:collect]

    state, outputs = ops.scan(body, tuple(state), xs, reverse=reverse)
    return outputs, state


def _scan_tensorflow(
    step: Step, state: CellState, xs: tuple, reverse: bool, collect: int
) -> tuple[CellState, CellState]:
    # keras.ops.scan on TensorFlow keeps its carry in TensorArrays and requires outputs of its
    # structure; a plain while_loop trains faster and converts to a loop of any format.
    import tensorflow as tf

    static = xs[0].shape[0]
    steps = tf.shape(xs[0])[0] if static is None else static
    arrays = [
        tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:], clear_after_read=False).unstack(x)
        for x in xs
    ]
    collected = tuple(
        tf.TensorArray(part.dtype, steps, element_shape=part.shape) for part in state[:collect]
    )

    def turn(i: Tensor, state: CellState, collected: tuple) -> tuple[Tensor, CellState, tuple]:
        index = steps - 1 - i if reverse else i
        state = step(state, tuple(array.read(index) for array in arrays))
        return (
            i + 1,
            state,
            tuple(array.write(index, part) for array, part in zip(collected, state, strict=False)),
        )

    _, state, collected = tf.while_loop(
        lambda i, *_: i < steps,
        turn,
        (tf.constant(0), state, collected),
        maximum_iterations=steps,
    )
    outputs = tuple(
        tf.ensure_shape(array.stack(), [static, *part.shape])
        for array, part in zip(collected, state, strict=False)
    )
    return outputs, state
