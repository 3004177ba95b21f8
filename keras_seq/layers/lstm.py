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
    `set_weights` of one takes `get_weights` of the other. Arguments and shapes: see `Recurrent`.
    The state is `(h, c)`.

    Args:
        unit_forget_bias: Start the forget gate's bias at one (Jozefowicz et al. 2015).
    """

    cell_class = LSTMCell
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

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}
