"""What one time step of a recurrent network computes, given its weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from keras import ops

from keras_seq.typing import Tensor

CellState = tuple[Tensor, ...]
Activation = Callable[[Tensor], Tensor]


class Cell(Protocol):
    """One time step. `state[0]` is its output, `(B, …)`."""

    def project(self, inputs: Tensor) -> Tensor:
        """Computes the part of a step that does not depend on the state, for all steps at once.

        Maps `(T, B, …)` to `(T, B, …)`.
        """

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        """Computes the next state from one step of `project`, `(B, …)`."""


@dataclass(frozen=True)
class WeightedCell:
    """Base of the cells made of gates.

    Attributes:
        kernel: `(D, gates * units)`.
        recurrent_kernel: `(units, gates * units)`.
        bias: `(gates * units,)`, or None.
        activation: Activation of the candidate and the output.
        recurrent_activation: Activation of the gates.
        recurrent_dropout: Mask `(B, units)` for the output that a step receives; or None.
    """

    kernel: Tensor
    recurrent_kernel: Tensor
    bias: Tensor | None = None
    activation: Activation = ops.tanh
    recurrent_activation: Activation = ops.sigmoid
    recurrent_dropout: Tensor | None = None

    @property
    def units(self) -> int:
        return self.recurrent_kernel.shape[0]

    def project(self, inputs: Tensor) -> Tensor:
        """Computes W_x x + b of all steps: `(…, D)` to `(…, gates * units)`."""
        projected = ops.matmul(inputs, self.kernel)
        return projected if self.bias is None else projected + self.bias

    def apply_recurrent_dropout(self, h: Tensor) -> Tensor:
        """Returns the previous output as a step receives it."""
        return h if self.recurrent_dropout is None else h * self.recurrent_dropout


class DifferentiatedCell(Protocol):
    """A `WeightedCell` that knows its derivative, for backpropagation through time.

    Its step is `forward(projected + apply_recurrent_dropout(h) W_h, state)`; its activations are
    tanh and σ.
    """

    def forward(self, preactivation: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """Computes `(activation, state)`: the gates, `(B, gates * units)`, and the next state."""

    def slopes(self, activation: Tensor, before: CellState, after: CellState) -> CellState:
        """Computes the part of `backward` that does not depend on later steps, for all at once.

        Args:
            activation: As from `forward`, `(…, gates * units)`.
            before: The state that `forward` received.
            after: The state that it returned.
        """

    def backward(self, slopes: CellState, d_after: CellState) -> tuple[Tensor, CellState]:
        """Computes the gradients of the preactivation and of the state, without that through W_h.

        Args:
            slopes: One step of `slopes`.
            d_after: The gradient of the state that the step returned.
        """


class RNNCell(WeightedCell):
    """h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h)   (Elman 1990, "Finding Structure in Time").

    The state is `(h,)`.
    """

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        h = self.apply_recurrent_dropout(state[0])
        return (self.activation(projected + ops.matmul(h, self.recurrent_kernel)),)

    def forward(self, preactivation: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        h = ops.tanh(preactivation)
        return h, (h,)

    def slopes(self, activation: Tensor, before: CellState, after: CellState) -> CellState:
        return (1 - activation * activation,)

    def backward(self, slopes: CellState, d_after: CellState) -> tuple[Tensor, CellState]:
        return d_after[0] * slopes[0], (ops.zeros_like(d_after[0]),)


class LSTMCell(WeightedCell):
    """Hochreiter & Schmidhuber (1997) with forget gates (Gers et al. 2000).

        i_t = σ(W_xi x_t + W_hi h_{t-1} + b_i)            input gate
        f_t = σ(W_xf x_t + W_hf h_{t-1} + b_f)            forget gate
        g_t = tanh(W_xg x_t + W_hg h_{t-1} + b_g)         candidate
        o_t = σ(W_xo x_t + W_ho h_{t-1} + b_o)            output gate
        c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
        h_t = o_t ⊙ tanh(c_t)

    Gates lie in the order i, f, g, o. The state is `(h, c)`.
    """

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        h, c = self.apply_recurrent_dropout(state[0]), state[1]
        gates = projected + ops.matmul(h, self.recurrent_kernel)
        i, f, g, o = ops.split(gates, 4, axis=-1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        return self.recurrent_activation(o) * self.activation(c), c

    def _gates(self, i: float, f: float, g: float, o: float, dtype: Any) -> Tensor:
        """Returns one factor for each gate, for all gates at once."""
        return ops.repeat(ops.convert_to_tensor([i, f, g, o], dtype=dtype), self.units)

    def forward(self, preactivation: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        # σ(x) = (1 + tanh(x / 2)) / 2: one pass over all four gates, which lie side by side.
        dtype = preactivation.dtype
        scale = self._gates(0.5, 0.5, 1, 0.5, dtype)
        activation = scale * ops.tanh(scale * preactivation) + self._gates(0.5, 0.5, 0, 0.5, dtype)
        i, f, g, o = ops.split(activation, 4, axis=-1)
        c = f * state[1] + i * g
        return activation, (o * ops.tanh(c), c)

    def slopes(self, activation: Tensor, before: CellState, after: CellState) -> CellState:
        i, f, g, o = ops.split(activation, 4, axis=-1)
        tanh_c = ops.tanh(after[1])
        by_c = [g * i * (1 - i), before[1] * f * (1 - f), i * (1 - g * g)]
        return ops.concatenate([*by_c, tanh_c * o * (1 - o)], axis=-1), f, o * (1 - tanh_c * tanh_c)

    def backward(self, slopes: CellState, d_after: CellState) -> tuple[Tensor, CellState]:
        gates, f, through = slopes
        d_h, d_c = d_after
        d_c = d_c + d_h * through
        return gates * ops.concatenate([d_c, d_c, d_c, d_h], axis=-1), (
            ops.zeros_like(d_h),
            d_c * f,
        )


@dataclass(frozen=True)
class GRUCell(WeightedCell):
    """Cho et al. (2014); with `reset_after` in the form of cuDNN.

        z_t = σ(W_xz x_t + W_hz h_{t-1} + b_z)            update gate
        r_t = σ(W_xr x_t + W_hr h_{t-1} + b_r)            reset gate
        g_t = tanh(W_xg x_t + W_hg (r_t ⊙ h_{t-1}) + b_g)               candidate, or
        g_t = tanh(W_xg x_t + r_t ⊙ (W_hg h_{t-1} + b_hg) + b_g)        with `reset_after`
        h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ g_t

    Gates lie in the order z, r, g. The state is `(h,)`.

    Attributes:
        recurrent_bias: Bias `(3 * units,)` added to W_h h with `reset_after`; or None.
        reset_after: Whether the reset gate comes after the matrix product.
    """

    recurrent_bias: Tensor | None = None
    reset_after: bool = True

    def advance(self, projected: Tensor, state: CellState) -> CellState:
        h = self.apply_recurrent_dropout(state[0])
        x_zr, x_g = ops.split(projected, [2 * self.units], axis=-1)
        if self.reset_after:
            recurrent = ops.matmul(h, self.recurrent_kernel)
            if self.recurrent_bias is not None:
                recurrent = recurrent + self.recurrent_bias
            h_zr, h_g = ops.split(recurrent, [2 * self.units], axis=-1)
            z, r = ops.split(self.recurrent_activation(x_zr + h_zr), 2, axis=-1)
            g = self.activation(x_g + r * h_g)
        else:
            kernel_zr, kernel_g = ops.split(self.recurrent_kernel, [2 * self.units], axis=-1)
            z, r = ops.split(self.recurrent_activation(x_zr + ops.matmul(h, kernel_zr)), 2, axis=-1)
            g = self.activation(x_g + ops.matmul(r * h, kernel_g))
        return (z * state[0] + (1 - z) * g,)
