"""The loop of stock recurrent layers as our `run_recurrence`, with their weights."""

from typing import Any

import keras
from keras import ops, tree

from keras_seq.errors import UserError
from keras_seq.layers.cells import Cell, CellState, GRUCell, LSTMCell, RNNCell
from keras_seq.layers.recurrence import mask_outputs, run_recurrence
from keras_seq.typing import Tensor


def inner_loop(
    self: keras.layers.RNN,
    sequences: Tensor,
    initial_state: Any,
    mask: Any,
    training: bool = False,
) -> tuple[Tensor, Tensor, Any]:
    """As `keras.layers.RNN.inner_loop`, where every recurrent layer of Keras walks its steps.

    Returns:
        `(last output, outputs, states)`.

    Raises:
        UserError: If the layer drops numbers at random in inference, too.
    """
    if training and _has_dropout(self.cell):
        raise UserError(
            f"The layer {self.name!r} ({type(self).__name__}) cannot be exported: it is called "
            "with training=True and drops numbers at random, so no two answers are the same. Call "
            "it without training."
        )
    if not tree.is_nested(initial_state):
        initial_state = [initial_state]
    mask = mask[0] if tree.is_nested(mask) else mask
    outputs, states = _run_cell(
        self.cell,
        sequences,
        initial_state,
        mask,
        reverse=self.go_backwards,
        sequence=self.return_sequences,
    )
    is_reversed = self.go_backwards and self.return_sequences
    if is_reversed and self.unroll:
        # There Keras compares outputs in the order of the steps with the mask of the inputs.
        outputs = ops.flip(outputs, axis=1)
    if self.zero_output_for_mask:
        outputs = mask_outputs(
            outputs,
            mask,
            zeros="masked",
            reverse=self.go_backwards,
            sequence=self.return_sequences,
        )
    if not self.return_sequences:
        return outputs, outputs, states
    if is_reversed and not self.unroll:
        outputs = ops.flip(outputs, axis=1)
    return outputs[:, -1], outputs, states


def _has_dropout(cell: Any) -> bool:
    """Whether a cell, or one of those stacked in it, drops numbers in training."""
    cells = getattr(cell, "cells", [cell])
    return any(
        getattr(part, rate, 0) for part in cells for rate in ("dropout", "recurrent_dropout")
    )


def _run_cell(
    cell: Any, inputs: Tensor, states: Any, mask: Tensor | None, *, reverse: bool, sequence: bool
) -> tuple[Tensor, Any]:
    """Runs a stock cell; returns `(outputs, states)`.

    Outputs are `(B, T, …)`, or `(B, …)` of the last step without `sequence`.
    """
    if type(cell) is keras.layers.StackedRNNCells:
        # Stacked cells are as many recurrences, each on the outputs of the one below.
        new_states = []
        for i, (part, state) in enumerate(zip(cell.cells, states, strict=True)):
            more = sequence or i < len(cell.cells) - 1
            # A cell takes a list, even of a single state, which Keras keeps without one.
            listed = state if tree.is_nested(state) else [state]
            inputs, new = _run_cell(part, inputs, listed, mask, reverse=reverse, sequence=more)
            new_states.append(new if tree.is_nested(state) else new[0])
        return inputs, new_states if len(new_states) > 1 else new_states[0]
    ours, first = _translate_cell(cell, inputs, states)
    outputs, last = run_recurrence(ours, inputs, first, mask, reverse=reverse, sequence=sequence)
    outputs = last[0] if outputs is None else outputs
    if not getattr(ours, "output_apart", False):
        outputs = mask_outputs(outputs, mask, zeros="before", reverse=reverse, sequence=sequence)
    return outputs, tree.pack_sequence_as(states, last[len(last) - len(tree.flatten(states)) :])


def _translate_cell(cell: Any, inputs: Tensor, states: Any) -> tuple[Cell, CellState]:
    """Returns our cell for a stock one, and its initial state."""
    first = tuple(tree.flatten(states))
    kind = type(cell)
    if kind is keras.layers.SimpleRNNCell:
        return RNNCell(cell.kernel, cell.recurrent_kernel, cell.bias, cell.activation), first
    if kind is keras.layers.LSTMCell:
        weights = (cell.kernel, cell.recurrent_kernel, cell.bias)
        return LSTMCell(*weights, cell.activation, cell.recurrent_activation), first
    if kind is keras.layers.GRUCell and _is_elementwise(cell.recurrent_activation):
        both = cell.bias is not None and cell.reset_after
        bias, recurrent_bias = (cell.bias[0], cell.bias[1]) if both else (cell.bias, None)
        ours = GRUCell(
            cell.kernel,
            cell.recurrent_kernel,
            bias,
            cell.activation,
            cell.recurrent_activation,
            recurrent_bias=recurrent_bias,
            reset_after=cell.reset_after,
        )
        return ours, first
    ours = UserCell(cell, states)
    output, new_state = ours.call(inputs[:, 0], first)
    if output is new_state[0]:
        return ours, first
    ours.output_apart = True
    return ours, (ops.zeros_like(output), *first)


# Activations that read all units of a gate.
ACROSS_UNITS = ("glu", "log_softmax", "softmax", "sparsemax")


def _is_elementwise(activation: Any) -> bool:
    """Whether an activation of Keras may read several gates at once."""
    name = getattr(activation, "__name__", "")
    return getattr(keras.activations, name, None) is activation and name not in ACROSS_UNITS


class UserCell:
    """Any other Keras cell, as a cell of ours.

    An output that isn't the first state is carried before the states: masked steps then repeat it,
    and it begins with zeros, as in Keras.

    Attributes:
        output_apart: Whether the output is carried.
    """

    def __init__(self, cell: Any, states: Any) -> None:
        self.cell = cell
        self.states = states
        self.output_apart = False

    def project(self, inputs: Tensor) -> Tensor:
        return inputs

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        output, new_state = self.call(projected, state[1:] if self.output_apart else state)
        return (output, *new_state) if self.output_apart else new_state

    def call(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """Computes one step of the cell; returns its output and its states, flat."""
        output, new_state = self.cell(inputs, tree.pack_sequence_as(self.states, list(state)))
        return output, tuple(tree.flatten(new_state))


def skip_dropout_masks(self: keras.layers.RNN, cell: Any, inputs: Tensor, states: Any) -> None:
    """As `RNN._maybe_config_dropout_masks`, which draws masks that inference never reads."""


def make_dropout_mask(self: Any, step_input: Tensor) -> Any:
    """As `DropoutRNNCell.get_dropout_mask` where nothing is dropped: a mask of ones."""
    count = getattr(self, "dropout_mask_count", None)
    mask = ops.ones_like(step_input)
    return mask if count is None else [mask] * count


# What cells with dropout inherit; it has no public name.
DROPOUT_CELL = next(
    base for base in keras.layers.LSTMCell.__mro__ if "get_dropout_mask" in vars(base)
)

RULES = (
    *(
        (layer, "inner_loop", inner_loop)
        for layer in (keras.layers.RNN, keras.layers.LSTM, keras.layers.GRU)
    ),
    (keras.layers.RNN, "_maybe_config_dropout_masks", skip_dropout_masks),
    (DROPOUT_CELL, "get_dropout_mask", make_dropout_mask),
    (DROPOUT_CELL, "get_recurrent_dropout_mask", make_dropout_mask),
)
