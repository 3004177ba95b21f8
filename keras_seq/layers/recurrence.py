"""The one operation every recurrent layer is made of, and the place where a format may own it.

A cell says what one time step computes; `recurrence` carries it along the sequence. A runtime that
has an operator for a whole recurrence (ONNX has `RNN`, `LSTM` and `GRU`) puts its own rule in place
while a model is traced, as a compiler lowers a primitive:

    with lowering(rule):
        trace(model)

No layer knows which format it is traced for.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar

from keras import ops

from keras_seq.layers import scan as scans
from keras_seq.layers.cells import Cell, CellState
from keras_seq.layers.tracing import setting
from keras_seq.typing import Tensor

Lowering = Callable[..., tuple[Tensor | None, CellState]]
_rule: ContextVar[Lowering | None] = ContextVar("keras_seq_recurrence_lowering", default=None)


def recurrence(
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
    rule = _rule.get() or loop
    return rule(cell, inputs, state, mask, reverse=reverse, sequence=sequence)


def loop(
    cell: Cell,
    inputs: Tensor,
    state: CellState,
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
    sequence: bool = True,
    scan: scans.Scan = scans.scan,
) -> tuple[Tensor | None, CellState]:
    """The recurrence as a loop, by `scan`, that of the Keras backend by default."""
    # Projecting is cheap to repeat over the padding and dear to repeat over the steps.
    xs = (cell.project(swap_batch_and_time(inputs)),)
    rank = len(state[0].shape)
    if mask is not None:
        mask = ops.reshape(mask, (*ops.shape(mask), *(1,) * (rank - 1)))
        xs += (swap_batch_and_time(ops.cast(mask, "bool")),)

    def counts(x_t: tuple[Tensor, ...], like: Tensor) -> Tensor:
        """The step's mask in the rank of `like`."""
        missing = len(like.shape) - rank
        return ops.reshape(x_t[1], (-1,) + (1,) * (len(like.shape) - 1)) if missing else x_t[1]

    def step(state: CellState, x_t: tuple[Tensor, ...]) -> CellState:
        new_state = cell.advance(x_t[0], state)
        if mask is None:
            return new_state
        return tuple(
            ops.where(counts(x_t, new), new, old) for new, old in zip(new_state, state, strict=True)
        )

    outputs, state = scan(step, state, xs, reverse=reverse, collect=int(sequence))
    return swap_batch_and_time(outputs[0]) if sequence else None, state


def swap_batch_and_time(x: Tensor) -> Tensor:
    """`(B, T, …)` to `(T, B, …)` and back."""
    return ops.transpose(x, (1, 0, *range(2, len(x.shape))))


def masked_outputs(
    outputs: Tensor,
    mask: Tensor | None,
    *,
    zeros: str,
    reverse: bool = False,
    sequence: bool = True,
) -> Tensor:
    """Puts zeros where stock Keras layers have zeros.

    Args:
        outputs: `(B, T, …)` of `recurrence`, in the order of its inputs, or the last state's
            `(B, …)` without `sequence`.
        mask: `(B, T)` boolean.
        zeros: "masked": at every masked step; "before": at those before the first step that
            counts, where `recurrence` repeats the initial state.
        reverse: The steps were walked from the last to the first.
        sequence: Whether `outputs` has a time axis.
    """
    if mask is None:
        return outputs
    kept = ops.cast(mask, "int32")
    if zeros == "before":
        kept = ops.flip(kept, axis=1) if reverse else kept
        kept = ops.cumsum(kept, axis=1)
        kept = ops.flip(kept, axis=1) if reverse else kept
    if not sequence:
        kept = kept[:, 0] if reverse else kept[:, -1]
    missing = len(outputs.shape) - len(kept.shape)
    kept = ops.reshape(kept > 0, (*ops.shape(kept), *(1,) * missing))
    return ops.where(kept, outputs, ops.zeros_like(outputs))


def lowering(rule: Lowering) -> AbstractContextManager[None]:
    """Makes `recurrence` use `rule`, a function like `loop`, inside the `with` block."""
    return setting(_rule, rule)
