"""The one operation every recurrent layer is made of, and the place where a format may own it.

A cell says what one time step computes; `recurrence` carries it along the sequence. A runtime that
has an operator for a whole recurrence (ONNX has `RNN` and `LSTM`) puts its own rule in place while
a model is traced, as a compiler lowers a primitive:

    with lowering(rule):
        trace(model)

No layer knows which format it is traced for.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol

from keras import ops

from keras_seq.layers.scan import scan

Tensor = Any
State = tuple[Tensor, ...]


class Cell(Protocol):
    """What one time step computes. `state[0]` is the output, `(B, units)`."""

    units: int

    def project(self, inputs: Tensor) -> Tensor:
        """Maps `(T, B, D)` to the part of the gates that does not depend on the state."""

    def advance(
        self, projected: Tensor, state: State, recurrent_dropout: Tensor | None = None
    ) -> State:
        """Computes the next state from one step of `project`, `(B, …)`."""


Lowering = Callable[..., tuple[Tensor | None, State]]
_rule: ContextVar[Lowering | None] = ContextVar("keras_seq_recurrence_lowering", default=None)


def recurrence(
    cell: Cell,
    inputs: Tensor,
    state: State,
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
    sequence: bool = True,
    recurrent_dropout: Tensor | None = None,
) -> tuple[Tensor | None, State]:
    """Runs `cell` along `inputs`.

    Args:
        cell: The step to run.
        inputs: `(B, T, D)`.
        state: Tensors `(B, units)`.
        mask: `(B, T)` boolean. Where it is False the state stays as it is.
        reverse: Walk from the last step to the first; outputs keep the order of `inputs`.
        sequence: Return the output of every step.
        recurrent_dropout: `(B, units)`, multiplied onto the output that a step receives.

    Returns:
        `(outputs, state)`: `(B, T, units)`, or None without `sequence`; and the last state.
    """
    rule = _rule.get() or loop
    return rule(
        cell,
        inputs,
        state,
        mask,
        reverse=reverse,
        sequence=sequence,
        recurrent_dropout=recurrent_dropout,
    )


def loop(
    cell: Cell,
    inputs: Tensor,
    state: State,
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
    sequence: bool = True,
    recurrent_dropout: Tensor | None = None,
    steps_per_turn: int = 1,
) -> tuple[Tensor | None, State]:
    """The recurrence as a loop: the inputs of all steps are projected by one matrix product."""
    # Projecting is cheap to repeat over the padding and dear to repeat over the steps.
    projected = cell.project(ops.transpose(inputs, (1, 0, 2)))
    xs = (projected,)
    if mask is not None:
        xs += (ops.transpose(ops.cast(mask, "bool"))[:, :, None],)

    def step(state: State, x_t: tuple[Tensor, ...]) -> State:
        new_state = cell.advance(x_t[0], state, recurrent_dropout)
        if mask is None:
            return new_state
        return tuple(ops.where(x_t[1], new, old) for new, old in zip(new_state, state, strict=True))

    outputs, state = scan(
        step, state, xs, reverse=reverse, sequence=sequence, steps_per_turn=steps_per_turn
    )
    return None if outputs is None else ops.transpose(outputs, (1, 0, 2)), state


@contextlib.contextmanager
def lowering(rule: Lowering) -> Iterator[None]:
    """Makes `recurrence` use `rule`, a function like `loop`, inside the `with` block."""
    token = _rule.set(rule)
    try:
        yield
    finally:
        _rule.reset(token)
