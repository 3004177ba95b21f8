"""The simple recurrent network of Elman (1990)."""

import keras

from keras_seq.layers.cells import RNNCell
from keras_seq.layers.recurrent import Recurrent


@keras.saving.register_keras_serializable("keras_seq")
class RNN(Recurrent):
    """h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h): the simple recurrent network; see `RNNCell`.

    Weights are laid out as those of `keras.layers.SimpleRNN`: `set_weights` of one takes
    `get_weights` of the other. The state is `(h,)`.

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
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    ```python
    x = keras.random.normal((2, 5, 8))         # (B, T, D)
    layer = keras_seq.layers.RNN(32, return_sequences=True)
    hidden = layer(x)                          # (2, 5, 32)
    output, state = layer.step(x[:, 0], layer.initial_state(batch_size=2))
    ```
    """

    cell_class = RNNCell
