"""Long short-term memory."""

from typing import Any

import keras
from keras import ops

from keras_seq.layers.cells import LSTMCell
from keras_seq.layers.recurrent import Recurrent
from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class LSTM(Recurrent):
    """Long short-term memory; its equations are those of `LSTMCell`.

    Weights are laid out as those of `keras.layers.LSTM` (gates in the order i, f, g, o):
    `set_weights` of one takes `get_weights` of the other. The state is `(h, c)`.

    Maps `(B, T, D)` to `(B, units)`, or to `(B, T, units)` with `return_sequences`; `scan` and
    `step` take and return the state, too.

    Args:
        units: Width of the output.
        return_sequences: Return the output of every step, `(B, T, units)`, not only the last one.
        return_state: Return `(output, *state)`, as stock Keras layers do.
        go_backwards: Read the sequence from its end; outputs are in the order read.
        stateful: Begin where the last call ended, row by row, until `reset_state()`. Every call
            then takes the same number of rows.
        zero_output_for_mask: Masked steps return zeros instead of the previous step's output.
        dropout: Share of the inputs to drop, the same ones at every step. Training only.
        recurrent_dropout: Share of the previous output to drop, likewise.
        use_bias: Add a bias.
        kernel_initializer: Initializer of the input weights `(D, gates * units)`.
        recurrent_initializer: Initializer of the recurrent weights `(units, gates * units)`.
        bias_initializer: Initializer of the bias `(gates * units,)`.
        seed: Random seed of the dropout.
        unit_forget_bias: Start the forget gate's bias at one (Jozefowicz et al. 2015).
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    cell_class = LSTMCell
    gates = 4
    state_names = ("h", "c")

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        seed: int | None = None,
        unit_forget_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            return_sequences,
            return_state,
            go_backwards,
            stateful,
            zero_output_for_mask,
            dropout,
            recurrent_dropout,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            seed,
            **kwargs,
        )
        self.unit_forget_bias = unit_forget_bias

    def _initial_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        if not self.unit_forget_bias:
            return super()._initial_bias(shape, dtype)
        i, f, go = (self.units,), (self.units,), (2 * self.units,)
        return ops.concatenate(
            [
                self.bias_initializer(i, dtype=dtype),
                ops.ones(f, dtype=dtype),
                self.bias_initializer(go, dtype=dtype),
            ]
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}
