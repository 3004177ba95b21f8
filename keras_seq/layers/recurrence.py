"""The one operation that every recurrent layer is made of.

A cell says what one time step computes; `run_recurrence` carries it along the sequence. A format
may have an operator for a whole recurrence; see `lowering`.
"""

from keras import ops

from keras_seq.layers import scan as scans
from keras_seq.layers.cells import Cell, CellState
from keras_seq.layers.lowering import get_lowering
from keras_seq.typing import Tensor


def run_recurrence(
    cell: Cell,
    inputs: Tensor,
    state: CellState,
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
    sequence: bool = True,
) -> tuple[Tensor | None, CellState]:
    """Runs `cell` along `inputs`.

    Args:
        cell: The step to run.
        inputs: `(B, T, …)`.
        state: Tensors `(B, …)`.
        mask: `(B, T)` boolean. Where it is False the state stays as it is.
        reverse: Walk from the last step to the first; outputs keep the order of `inputs`.
        sequence: Return the output of every step.

    Returns:
        `(outputs, state)`: `(B, T, …)`, or None without `sequence`; and the last state.
    """
    rule = get_lowering().recurrence or run_loop
    return rule(cell, inputs, state, mask, reverse=reverse, sequence=sequence)


def run_loop(
    cell: Cell,
    inputs: Tensor,
    state: CellState,
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
    sequence: bool = True,
    scan: scans.Scan = scans.scan,
) -> tuple[Tensor | None, CellState]:
    """Runs a recurrence as a loop; `scan` is the loop of the Keras backend by default."""
    # All steps are projected at once, the padding with them: cheaper than step by step.
    xs = (cell.project(swap_batch_and_time(inputs)),)
    rank = len(state[0].shape)
    if mask is not None:
        mask = ops.reshape(mask, (*ops.shape(mask), *(1,) * (rank - 1)))
        xs += (swap_batch_and_time(ops.cast(mask, "bool")),)

    def mask_like(x_t: tuple[Tensor, ...], like: Tensor) -> Tensor:
        """Returns the step's mask in the rank of `like`."""
        missing = len(like.shape) - rank
        return ops.reshape(x_t[1], (-1,) + (1,) * (len(like.shape) - 1)) if missing else x_t[1]

    def step(state: CellState, x_t: tuple[Tensor, ...]) -> CellState:
        new_state = cell.advance(x_t[0], state)
        if mask is None:
            return new_state
        return tuple(
            ops.where(mask_like(x_t, new), new, old)
            for new, old in zip(new_state, state, strict=True)
        )

    outputs, state = scan(step, state, xs, reverse=reverse, collect=int(sequence))
    return swap_batch_and_time(outputs[0]) if sequence else None, state


def swap_batch_and_time(x: Tensor) -> Tensor:
    """Maps `(B, T, …)` to `(T, B, …)` and back."""
    return ops.transpose(x, (1, 0, *range(2, len(x.shape))))


def mask_outputs(
    outputs: Tensor,
    mask: Tensor | None,
    *,
    zeros: str,
    reverse: bool = False,
    sequence: bool = True,
) -> Tensor:
    """Puts zeros where stock Keras layers have zeros.

    Args:
        outputs: `(B, T, …)` of `run_recurrence`, in the order of its inputs, or the last state's
            `(B, …)` without `sequence`.
        mask: `(B, T)` boolean.
        zeros: "masked" for every masked step; "before" for those before the first step that isn't
            masked, where `run_recurrence` repeats the initial state.
        reverse: The steps were walked from the last to the first.
        sequence: Whether `outputs` has a time axis.
    """
    if mask is None:
        return outputs
    is_valid = ops.cast(mask, "int32")
    if zeros == "before":
        is_valid = ops.flip(is_valid, axis=1) if reverse else is_valid
        is_valid = ops.cumsum(is_valid, axis=1)
        is_valid = ops.flip(is_valid, axis=1) if reverse else is_valid
    if not sequence:
        is_valid = is_valid[:, 0] if reverse else is_valid[:, -1]
    missing = len(outputs.shape) - len(is_valid.shape)
    is_valid = ops.reshape(is_valid > 0, (*ops.shape(is_valid), *(1,) * missing))
    return ops.where(is_valid, outputs, ops.zeros_like(outputs))
