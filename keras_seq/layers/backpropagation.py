"""Backpropagation through time written out, for recurrences that train fast.

A framework that differentiates a loop sums the weights' gradient turn by turn, in many small matrix
products. Here the backward loop carries only the state's gradient; those of the weights and of the
inputs are one product each over all steps, after the loop.

With a_t the preactivation of step t and δ_t its gradient (Werbos 1990, "Backpropagation through
time: what it does and how to do it"):

    a_t  = W_x x_t + W_h h_{t-1} + b
    dW_x = Σ_t x_tᵀ δ_t      dW_h = Σ_t h_{t-1}ᵀ δ_t      db = Σ_t δ_t      dx_t = δ_t W_xᵀ
"""

import dataclasses
from typing import Any

from keras import ops

from keras_seq.layers.cells import CellState, WeightedCell
from keras_seq.layers.recurrence import swap_batch_and_time
from keras_seq.layers.scan import scan
from keras_seq.typing import Tensor


def run_differentiable(
    cell: WeightedCell,
    inputs: Tensor,
    state: CellState,
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
    sequence: bool = True,
) -> tuple[Tensor | None, CellState]:
    """As `recurrence.run_loop`, for a `DifferentiatedCell`; stores what its gradient needs."""
    inputs = swap_batch_and_time(inputs)  # (T, B, D)
    masks = ()
    if mask is not None:
        masks = (swap_batch_and_time(ops.cast(mask, "bool"))[:, :, None],)  # (T, B, 1)
    dtype = inputs.dtype
    weights = [
        ops.cast(ops.convert_to_tensor(weight), dtype)
        for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)
        if weight is not None
    ]

    @ops.custom_gradient
    def run(inputs: Tensor, kernel: Tensor, recurrent_kernel: Tensor, *rest: Tensor) -> Any:
        bias, state = (None, rest) if cell.bias is None else (rest[0], rest[1:])
        weighted = dataclasses.replace(
            cell, kernel=kernel, recurrent_kernel=recurrent_kernel, bias=bias
        )

        def forward(carry: CellState, x_t: CellState) -> CellState:
            before = carry[:-1]
            recurrent = ops.matmul(cell.apply_recurrent_dropout(before[0]), recurrent_kernel)
            activation, after = weighted.forward(x_t[0] + recurrent, before)
            if masks:
                after = tuple(ops.where(x_t[1], *pair) for pair in zip(after, before, strict=True))
            return (*after, activation)

        projected = weighted.project(inputs)
        carry = (*state, ops.zeros_like(projected[0]))
        (*afters, activations), (*last, _) = scan(
            forward, carry, (projected, *masks), reverse=reverse, collect=len(carry)
        )

        def gradient(*upstream: Any, **_: Any) -> tuple[Tensor, ...]:
            # TensorFlow hands over the gradients one by one, JAX as one tuple.
            d_outputs = upstream[0] if isinstance(upstream[0], (list, tuple)) else upstream
            d_hidden, d_state = (d_outputs[:1], d_outputs[1:]) if sequence else ((), d_outputs)
            befores = [
                _shift(first, after, reverse) for first, after in zip(state, afters, strict=True)
            ]
            all_slopes = weighted.slopes(activations, befores, afters)

            def backward(carry: CellState, x_t: CellState) -> CellState:
                d_after, slopes, rest = carry[1:], x_t[: len(all_slopes)], x_t[len(all_slopes) :]
                if sequence:
                    d_after = (d_after[0] + rest[-1], *d_after[1:])
                d_kept = None
                if masks:
                    d_kept = [ops.where(rest[0], ops.zeros_like(d), d) for d in d_after]
                    d_after = [ops.where(rest[0], d, ops.zeros_like(d)) for d in d_after]
                d_preactivation, d_before = weighted.backward(slopes, d_after)
                d_received = ops.matmul(d_preactivation, transposed)
                d_before = (d_before[0] + cell.apply_recurrent_dropout(d_received), *d_before[1:])
                if masks:
                    d_before = [
                        d + kept_gradient for d, kept_gradient in zip(d_before, d_kept, strict=True)
                    ]
                return (d_preactivation, *d_before)

            transposed = ops.transpose(recurrent_kernel)
            (d_preactivations,), (_, *d_state) = scan(
                backward,
                (ops.zeros_like(activations[0]), *d_state),
                (*all_slopes, *masks, *d_hidden),
                reverse=not reverse,
            )
            d_rows = _rows(d_preactivations)
            d_kernel = ops.matmul(ops.transpose(_rows(inputs)), d_rows)
            received = _rows(cell.apply_recurrent_dropout(befores[0]))
            d_recurrent_kernel = ops.matmul(ops.transpose(received), d_rows)
            d_bias = () if bias is None else (ops.sum(_rows(d_preactivations), axis=0),)
            d_inputs = ops.matmul(d_preactivations, ops.transpose(kernel))
            return (d_inputs, d_kernel, d_recurrent_kernel, *d_bias, *d_state)

        return ((afters[0], *last) if sequence else tuple(last)), gradient

    outputs = run(inputs, *weights, *state)
    if sequence:
        return swap_batch_and_time(outputs[0]), tuple(outputs[1:])
    return None, tuple(outputs)


def _shift(first: Tensor, after: Tensor, reverse: bool) -> Tensor:
    """Returns the states before each step from those after it, `(T, B, …)`."""
    if reverse:
        return ops.concatenate([after[1:], first[None]], axis=0)
    return ops.concatenate([first[None], after[:-1]], axis=0)


def _rows(x: Tensor) -> Tensor:
    """Maps `(T, B, D)` to `(T * B, D)`."""
    return ops.reshape(x, (-1, x.shape[-1]))
