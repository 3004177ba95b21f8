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
    x = keras.random.normal((2, 5, 8))         # (B, T, D)
    layer = keras_seq.layers.RNN(32, return_sequences=True)
    hidden = layer(x)                          # (2, 5, 32)
    output, state = layer.step(x[:, 0], layer.initial_state(batch_size=2))
    ```
    """

    cell_class = RNNCell
