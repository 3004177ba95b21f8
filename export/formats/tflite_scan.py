"""The loop of a recurrence in the operators that TFLite has built in, whatever sizes are open."""

import tensorflow as tf
from keras import ops

from keras_seq.layers.cells import CellState
from keras_seq.layers.scan import Step
from keras_seq.typing import Tensor

# The interpreter pays for every turn of a loop: 3.5 ms with 1 step a turn, 2.9 with 4 (LSTM, 128
# steps, 128 inputs, 256 units).
STEPS_PER_TURN = 4


def scan(
    step: Step,
    state: CellState,
    xs: tuple[Tensor, ...],
    *,
    reverse: bool = False,
    collect: int = 1,
) -> tuple[CellState, CellState]:
    """As `keras_seq.layers.scan.scan`.

    A TensorArray becomes a list that TFLite has not for sizes that are open; slices of the inputs
    and updates of one buffer of outputs serve for all.
    """
    state = tuple(tf.convert_to_tensor(part) for part in state)
    static = xs[0].shape[0]
    steps = tf.shape(xs[0])[0] if static is None else static
    turns = steps // STEPS_PER_TURN
    rest = steps - turns * STEPS_PER_TURN
    shapes = [[static, *part.shape] for part in state[:collect]]
    outputs = tuple(
        tf.zeros(shape if all(shape) else tf.concat([[steps], tf.shape(part)], axis=0), part.dtype)
        for part, shape in zip(state, shapes, strict=False)
    )

    def walk(
        first: Tensor, turns: Tensor, count: int, state: CellState, outputs: CellState
    ) -> tuple:
        """`turns` turns of `count` steps, on the steps from `first`."""

        def turn(
            i: Tensor, state: CellState, outputs: CellState
        ) -> tuple[Tensor, CellState, CellState]:
            start = first + (turns - 1 - i if reverse else i) * count
            parts = [
                tf.slice(x, [start] + [0] * (x.shape.rank - 1), [count, *[-1] * (x.shape.rank - 1)])
                for x in xs
            ]
            hidden = [()] * count
            for k in reversed(range(count)) if reverse else range(count):
                state = step(state, tuple(part[k] for part in parts))
                hidden[k] = state[:collect]
            outputs = tuple(
                ops.slice_update(whole, [start] + [0] * (whole.shape.rank - 1), tf.stack(parts))
                for whole, *parts in zip(outputs, *hidden, strict=True)
            )
            return i + 1, state, outputs

        if isinstance(turns, int) and turns == 1:
            _, state, outputs = turn(0, state, outputs)
            return state, outputs
        _, state, outputs = tf.while_loop(
            lambda i, *_: i < turns,
            turn,
            (tf.constant(0), state, outputs),
            shape_invariants=(
                tf.TensorShape([]),
                tuple(part.shape for part in state),
                tuple(tf.TensorShape(shape) for shape in shapes),
            ),
            maximum_iterations=turns,
        )
        return state, outputs

    # What does not fill a turn is walked last: the end of the sequence, in reverse its beginning.
    if static is None or turns:
        state, outputs = walk(rest if reverse else 0, turns, STEPS_PER_TURN, state, outputs)
    start = 0 if reverse else turns * STEPS_PER_TURN
    if static is None:
        state, outputs = walk(start, rest, 1, state, outputs)
    elif rest:
        state, outputs = walk(start, 1, rest, state, outputs)
    outputs = tuple(map(tf.ensure_shape, outputs, shapes))
    return outputs, state
