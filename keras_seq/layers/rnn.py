"""The simple recurrent network of Elman (1990)."""

import keras
from keras import ops

from keras_seq.layers.recurrence import State, Tensor
from keras_seq.layers.recurrent import Recurrent


@keras.saving.register_keras_serializable("keras_seq")
class RNN(Recurrent):
    """h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h)   (Elman 1990, "Finding Structure in Time").

    Weights are laid out as those of `keras.layers.SimpleRNN`: `set_weights` of one takes
    `get_weights` of the other. Arguments and shapes: see `Recurrent`. The state is `(h,)`.

    Example:

    ```python
    layer = keras_seq.layers.RNN(32, return_sequences=True)
    hidden = layer(x)                          # (B, T, D) -> (B, T, 32)
    output, state = layer.step(x[:, 0], layer.initial_state(batch_size))
    ```
    """

    def advance(
        self, projected: Tensor, state: State, recurrent_dropout: Tensor | None = None
    ) -> State:
        (h,) = state
        if recurrent_dropout is not None:
            h = h * recurrent_dropout
        return (ops.tanh(projected + ops.matmul(h, self.recurrent_kernel)),)
