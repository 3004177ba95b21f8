"""Long short-term memory."""

from typing import Any

import keras
from keras import ops

from keras_seq.layers.recurrence import State, Tensor
from keras_seq.layers.recurrent import Recurrent


@keras.saving.register_keras_serializable("keras_seq")
class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with forget gates (Gers et al. 2000).

        i_t = σ(W_xi x_t + W_hi h_{t-1} + b_i)            input gate
        f_t = σ(W_xf x_t + W_hf h_{t-1} + b_f)            forget gate
        g_t = tanh(W_xg x_t + W_hg h_{t-1} + b_g)         candidate
        o_t = σ(W_xo x_t + W_ho h_{t-1} + b_o)            output gate
        c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
        h_t = o_t ⊙ tanh(c_t)

    Weights are laid out as those of `keras.layers.LSTM` (gates in the order i, f, g, o):
    `set_weights` of one takes `get_weights` of the other. Arguments and shapes: see `Recurrent`.
    The state is `(h, c)`.

    Args:
        unit_forget_bias: Start the forget gate's bias at one (Jozefowicz et al. 2015).
    """

    gates = 4
    state_names = ("h", "c")

    def __init__(self, units: int, *args: Any, unit_forget_bias: bool = True, **kwargs: Any):
        super().__init__(units, *args, **kwargs)
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

    def advance(
        self, projected: Tensor, state: State, recurrent_dropout: Tensor | None = None
    ) -> State:
        h, c = state
        if recurrent_dropout is not None:
            h = h * recurrent_dropout
        i, f, g, o = ops.split(projected + ops.matmul(h, self.recurrent_kernel), 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        return ops.sigmoid(o) * ops.tanh(c), c

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}
