"""cuDNN's LSTM, which Keras has for JAX on a GPU."""

import keras
from keras import ops

from keras_seq.layers.cells import CellState, LSTMCell, WeightedCell
from keras_seq.typing import Tensor


def run_cudnn(
    cell: WeightedCell,
    inputs: Tensor,
    state: CellState,
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
    sequence: bool = True,
) -> tuple[Tensor | None, CellState] | None:
    """As `recurrence.run_loop`, for training; returns None where cuDNN cannot run the cell.

    It runs an `LSTMCell` with a bias, in float32, without mask and recurrent dropout. (With
    TensorFlow it would keep XLA from compiling the model, which costs more than it gains.)
    """
    fits = isinstance(cell, LSTMCell) and cell.bias is not None and cell.recurrent_dropout is None
    if keras.backend.backend() != "jax" or mask is not None or not fits:
        return None
    if keras.backend.standardize_dtype(inputs.dtype) != "float32":
        return None
    from keras.src import backend  # keras.layers.LSTM calls it; it has no public name.

    try:
        _, outputs, last = backend.lstm(
            ops.flip(inputs, axis=1) if reverse else inputs,
            *state,
            None,
            *(ops.convert_to_tensor(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)),
            activation=cell.activation,
            recurrent_activation=cell.recurrent_activation,
            return_sequences=True,
        )
    except NotImplementedError:
        return None
    if not sequence:
        return None, tuple(last)
    return ops.flip(outputs, axis=1) if reverse else outputs, tuple(last)
