"""The simple recurrent network of Elman (1990)."""

import keras

from keras_seq.layers.cells import RNNCell
from keras_seq.layers.recurrent import Recurrent


@keras.saving.register_keras_serializable("keras_seq")
class RNN(Recurrent):
    """h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h): the simple recurrent network; see `RNNCell`.

    Weights are laid out as those of `keras.layers.SimpleRNN`: `set_weights` of one takes
    `get_weights` of the other. Arguments and shapes: see `Recurrent`. The state is `(h,)`.

    Example:

    ```python
    layer = keras_seq.layers.RNN(32, return_sequences=True)
    hidden = layer(x)                          # (B, T, D) -> (B, T, 32)
    output, state = layer.step(x[:, 0], layer.initial_state(batch_size))
    ```
    """

    cell_class = RNNCell
