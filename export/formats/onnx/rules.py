"""How layers are traced for ONNX: a recurrence is one node, a cache is written by ScatterND.

A recurrence is lowered in two steps. While a signature is traced, `place_recurrence` puts one
placeholder operator in the place of the loop. While tf2onnx converts the graph,
`handlers.convert_placeholder` puts the `RNN`, `LSTM` or `GRU` node in the place of the placeholder.

The placeholder is a PyFunc, which never runs: an operator that takes any tensors, that TensorFlow's
optimisers leave alone, and that has an attribute for a text. (tf2onnx inlines a function with
`implements`.) `trace.trace` refuses a model's own Python functions, so no other PyFunc is
converted.
"""

import json
from typing import Any

import numpy as np
import tensorflow as tf

from export.formats.trace import PLACEHOLDER
from keras_seq.layers.cells import GRUCell, LSTMCell, RNNCell
from keras_seq.layers.lowering import Lowering
from keras_seq.layers.recurrence import run_loop
from keras_seq.layers.scan import scan
from keras_seq.typing import Tensor

# Keras's order of the gates (i, f, g, o and z, r, g) in ONNX's order.
GATES = {"RNN": (0,), "LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2)}

# Name, alpha and beta of the activations that both sides know.
ACTIVATIONS = {
    "tanh": ("Tanh", 0.0, 0.0),
    "sigmoid": ("Sigmoid", 0.0, 0.0),
    "relu": ("Relu", 0.0, 0.0),
    "linear": ("Affine", 1.0, 0.0),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
    "hard_sigmoid_keras2": ("HardSigmoid", 0.2, 0.5),
}

OPERATORS = {
    RNNCell: ("RNN", "activation"),
    LSTMCell: ("LSTM", "recurrent_activation", "activation", "activation"),
    GRUCell: ("GRU", "recurrent_activation", "activation"),
}


# Functions of Keras whose operators ONNX has not; see `Lowering.lacks`.
LACKS = frozenset({"erfinv", "fft", "fft2", "irfft", "rfft", "stft"})


def make_lowering() -> Lowering:
    """Returns the rules for one signature: caches of its steps share their indices."""
    return Lowering(
        place_recurrence,
        ScatterRule(),
        growing_caches=True,
        fuse_projections=True,
        scan=scan_forwards,
        rfft=place_transform,
        lacks=LACKS,
    )


def place_recurrence(
    cell: Any,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
    sequence: bool = True,
) -> tuple[Tensor | None, tuple[Tensor, ...]]:
    """As `keras_seq.layers.recurrence.run_loop`, in one operator of the graph."""
    attributes = _attributes(cell, reverse)
    if attributes is None:
        return run_forwards(cell, inputs, state, mask, reverse=reverse, sequence=sequence)
    order = GATES[attributes["operator"]]

    lengths = None
    if mask is not None:
        # The node stops at a length; so the unmasked steps are moved to the front.
        mask = tf.cast(mask, tf.bool)
        time = tf.range(tf.shape(mask)[1])[None, :]
        rank = tf.where(mask, -time, -time - tf.shape(mask)[1])
        inputs = tf.gather(inputs, tf.math.top_k(rank, tf.shape(mask)[1])[1], batch_dims=1)
        lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)

    def gates(weights: Tensor) -> Tensor:
        """Maps `(…, gates * units)` to `(1, gates * units, …)` in ONNX's order."""
        parts = tf.split(tf.convert_to_tensor(weights), len(order), axis=-1)
        return tf.transpose(tf.concat([parts[i] for i in order], axis=-1))[None]

    zeros = tf.zeros([cell.recurrent_kernel.shape[-1]])
    biases = (cell.bias, getattr(cell, "recurrent_bias", None))
    operands = {
        "X": tf.transpose(inputs, (1, 0, 2)),
        "W": gates(cell.kernel),
        "R": gates(cell.recurrent_kernel),
        "B": tf.concat([gates(zeros if bias is None else bias) for bias in biases], axis=-1),
        "sequence_lens": lengths,
    }
    for name, tensor in zip(("initial_h", "initial_c"), state, strict=False):
        operands[name] = None if _is_zeros(tensor) else tensor[None]
    present = [name for name, tensor in operands.items() if tensor is not None]
    inputs_used = [name if name in present else "" for name in operands]
    outputs, *state_out = tf.raw_ops.PyFunc(
        input=[operands[name] for name in present],
        token=PLACEHOLDER + json.dumps({**attributes, "inputs": inputs_used}),
        Tout=[tf.float32] * (1 + len(state)),
    )
    state_out = tuple(
        tf.squeeze(tf.ensure_shape(after, (1, None, cell.units)), 0) for after in state_out
    )
    if lengths is not None:
        # For a row without steps onnxruntime returns zeros, not the initial state.
        empty = (lengths == 0)[:, None]
        state_out = tuple(
            tf.where(empty, before, after) for before, after in zip(state, state_out, strict=True)
        )
    if not sequence:
        return None, state_out
    outputs = tf.ensure_shape(outputs, (inputs.shape[1], 1, None, cell.units))  # (T, 1, B, units)
    outputs = tf.transpose(tf.squeeze(outputs, 1), (1, 0, 2))
    if mask is None:
        return outputs, state_out
    # Back to their steps; a masked step repeats the step before it, or the initial state.
    before = tf.cumsum(tf.cast(mask, tf.int32), axis=1)
    if reverse:
        before = lengths[:, None] - before + tf.cast(mask, tf.int32)
        index = lengths[:, None] - before
    else:
        index = before - 1
    last = tf.shape(mask)[1] - 1
    outputs = tf.gather(outputs, tf.clip_by_value(index, 0, last), batch_dims=1)
    return tf.where((before > 0)[:, :, None], outputs, state[0][:, None, :]), state_out


def run_forwards(
    cell: Any,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
    sequence: bool = True,
) -> tuple[Tensor | None, tuple[Tensor, ...]]:
    """As `run_loop`, on flipped inputs in reverse.

    tf2onnx keeps the outputs of a loop in the order of its turns, wherever they are written.
    """
    if not reverse:
        return run_loop(cell, inputs, state, mask, sequence=sequence)
    mask = None if mask is None else mask[:, ::-1]
    outputs, state = run_loop(cell, inputs[:, ::-1], state, mask, sequence=sequence)
    return None if outputs is None else outputs[:, ::-1], state


def scan_forwards(
    step: Any, state: tuple[Tensor, ...], xs: Any, *, reverse: bool = False, collect: int = 1
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """As `keras_seq.layers.scan.scan`, on flipped inputs in reverse; see `run_forwards`."""
    if not reverse:
        return scan(step, state, xs, collect=collect)
    outputs, state = scan(step, state, tuple(x[::-1] for x in xs), collect=collect)
    return tuple(part[::-1] for part in outputs), state


def place_transform(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Returns the Fourier transform of real numbers `(…, n)`, in one operator of the graph."""
    shape, bins = tf.shape(x), size // 2 + 1
    flat = tf.reshape(x, [-1, size, 1])
    attributes = {"operator": "DFT", "onesided": 1, "axis": 1, "inputs": ["input"]}
    (found,) = tf.raw_ops.PyFunc(
        input=[flat], token=PLACEHOLDER + json.dumps(attributes), Tout=[tf.float32]
    )
    found = tf.ensure_shape(found, [None, bins, 2])  # real and imaginary parts
    outer = tf.concat([shape[:-1], [bins]], axis=0)
    real, imaginary = (tf.reshape(found[..., part], outer) for part in range(2))
    static = [*x.shape[:-1], bins]
    return tf.ensure_shape(real, static), tf.ensure_shape(imaginary, static)


def _is_zeros(tensor: Tensor) -> bool:
    """Whether a state is known to be zeros, as the node's own initial state is."""
    if getattr(tensor, "op", None) is not None and tensor.op.type == "Fill":
        tensor = tensor.op.inputs[1]
    value = tf.get_static_value(tensor)
    return value is not None and not value.any()


def _attributes(cell: Any, reverse: bool) -> dict[str, Any] | None:
    """Returns the node for `cell` and its attributes; None where ONNX has no node for it."""
    if type(cell) not in OPERATORS:
        return None
    operator, *roles = OPERATORS[type(cell)]
    names = [getattr(cell, role).__name__ for role in roles]
    if not ACTIVATIONS.keys() >= set(names):
        return None
    used = [ACTIVATIONS[name] for name in names]
    # The node takes the numbers in the order of the activations that have any.
    numbers = [(alpha, beta) for _, alpha, beta in used if alpha]
    attributes = {
        "operator": operator,
        "hidden_size": int(cell.units),
        "direction": "reverse" if reverse else "forward",
        "activations": [kind for kind, _, _ in used],
    }
    if numbers:
        alpha, beta = zip(*numbers, strict=True)
        attributes |= {"activation_alpha": alpha, "activation_beta": beta}
    if operator == "GRU":
        attributes["linear_before_reset"] = int(cell.reset_after)
    return attributes


class ScatterRule:
    """The rule for caches: `ScatterND`, which is seven times as fast as a choice by `Where`."""

    def __init__(self) -> None:
        self._position: Tensor = None
        self._indices: Tensor = None

    def __call__(self, cache: Tensor, new: Tensor, cache_position: Any) -> Tensor:
        if cache_position.position is not self._position:  # All layers of a step have the same.
            self._position = cache_position.position
            self._indices = self._make_indices(cache_position.position, cache.shape[1])
        return tf.tensor_scatter_nd_update(cache, self._indices, new)

    @staticmethod
    def _make_indices(position: Tensor, heads: int) -> Tensor:
        """Returns row, head and position of each vector, `(B, nh, 1, 3)` int64 as in ONNX."""
        row = tf.range(tf.shape(position, tf.int64)[0])[:, None, None, None]
        head = np.arange(heads)[None, :, None, None]
        # Only the last term changes from step to step.
        first = row * np.array([1, 0, 0]) + head * np.array([0, 1, 0])
        return first + tf.cast(position, tf.int64) * np.array([0, 0, 1])
