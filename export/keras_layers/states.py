"""The states of recurrent layers as inputs and outputs, where Keras keeps them in variables."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree

from export.keras_layers.names import name_layers
from export.keras_layers.patching import patch_attributes
from keras_seq import layers as keras_seq_layers
from keras_seq.errors import UserError
from keras_seq.layers.recurrent import Recurrent
from keras_seq.signature import TensorSpec
from keras_seq.typing import Tensor

_inputs = keras.Input(())
# The class of Functional models, which has no name.
FUNCTIONAL = type(keras.Model(_inputs, keras.layers.Identity()(_inputs)))

RECURRENT = (keras.layers.RNN, Recurrent)

# Layers that look at several steps at once.
NEEDS_WHOLE_SEQUENCE = (
    keras.layers.Bidirectional,
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.MaxPooling1D,
    keras.layers.AveragePooling1D,
    keras.layers.RepeatVector,
    keras_seq_layers.Bidirectional,
    keras_seq_layers.MultiHeadAttention,
    keras_seq_layers.LearnedPositions,
    keras_seq_layers.RotaryPositions,
    keras_seq_layers.SinusoidalPositions,
)


@dataclass(frozen=True)
class LayerState:
    """A state that a layer carries from call to call.

    Attributes:
        name: "state_", the layer's name, and "h", "c", or "s" and a number.
        variable: Variable in which Keras keeps it, `(B, …)`.
    """

    name: str
    variable: keras.Variable

    @property
    def as_input(self) -> TensorSpec:
        """The state before a call."""
        return TensorSpec(self.name, "float32", tuple(self.variable.shape))

    @property
    def as_output(self) -> TensorSpec:
        """The state after it."""
        return TensorSpec(f"next_{self.name}", "float32", tuple(self.variable.shape))


def recurrent_layers(model: keras.Model) -> list[keras.layers.RNN | Recurrent]:
    """Returns the recurrent layers of a model, however deep."""
    return [layer for layer in all_layers(model) if isinstance(layer, RECURRENT)]


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a model, those inside other layers included."""
    # Publicly Keras lists the layers of a model, but not those of a layer.
    return list(model._flatten_layers())


def stateful_states(model: keras.Model) -> list[LayerState]:
    """Returns the states of the stateful layers of a model."""
    layers = [
        layer for layer in recurrent_layers(model) if layer.stateful and layer.states is not None
    ]
    return [
        state
        for layer, name in zip(layers, name_layers(layers), strict=True)
        for state in _name_states(name, layer.states)
    ]


def _name_states(layer: str, variables: Any) -> list[LayerState]:
    """Returns the states of a layer: "h", and "c" of an LSTM; of other cells "s0", "s1" and so on.

    No name ends in a number, as that of another layer may.
    """
    flat = tree.flatten(variables)
    parts = ("h", "c")[: len(flat)] if len(flat) < 3 else [f"s{i}" for i in range(len(flat))]
    return [
        LayerState(f"state_{layer}_{part}", variable)
        for part, variable in zip(parts, flat, strict=True)
    ]


def call_with_states(
    call: Callable[[], Any], states: Sequence[LayerState], arguments: Mapping[str, Tensor]
) -> tuple[Any, dict[str, Tensor]]:
    """Returns the outputs of `call()`, given the states in `arguments`, and the states after it."""
    if not states:
        return call(), {}
    mapping = [(state.variable, arguments[state.name]) for state in states]
    with keras.StatelessScope(mapping) as scope:
        outputs = call()
    return outputs, {s.as_output.name: scope.get_current_value(s.variable) for s in states}


def make_streaming(model: keras.Model, batch: int) -> "StreamingModel":
    """Returns a model to be called one step at a time, with `batch` rows a call.

    Raises:
        UserError: If a layer looks at other steps than earlier ones.
    """
    layers = recurrent_layers(model)
    if not layers:
        raise UserError(
            f"The model {model.name!r} has no recurrent layer, so there is no state to carry from "
            "step to step. Export it without --stream."
        )
    for layer in all_layers(model):
        backwards = isinstance(layer, RECURRENT) and layer.go_backwards
        wide = getattr(layer, "kernel_size", (1,)) if "Conv1D" in type(layer).__name__ else (1,)
        if isinstance(layer, NEEDS_WHOLE_SEQUENCE) or backwards or wide[0] > 1:
            raise UserError(
                f"The layer {layer.name!r} ({type(layer).__name__}) cannot be streamed: it "
                "looks at several steps at once, and a stream has one. Build the model from "
                "recurrent layers that read forwards, and layers that treat every step alike."
            )
    uses = _count_uses(model)
    for layer in layers:
        if uses[layer.name] > 1:
            raise UserError(
                f"The layer {layer.name!r} is used {uses[layer.name]} times: each use would need a "
                "state of its own. Stream a model that uses it once."
            )
    return StreamingModel(layers, batch)


def _count_uses(model: keras.Model) -> Counter[str]:
    """Counts how often the graph of a model, and those of the models in it, call each layer.

    A layer itself also counts its calls in graphs that are gone: a Sequential model makes one anew
    for each layer that is added.
    """
    uses: Counter[str] = Counter()
    graph = model._functional if isinstance(model, keras.Sequential) else model
    # Keras has no public list of the calls in a graph.
    nodes = getattr(graph, "_nodes_by_depth", {}).values()
    for operation in (node.operation for depth in nodes for node in depth):
        if isinstance(operation, (keras.Sequential, FUNCTIONAL)):
            uses.update(_count_uses(operation))
        else:
            uses[operation.name] += 1
    return uses


class StreamingModel:
    """Recurrent layers that carry their state from call to call for a while.

    Attributes:
        states: Their states.
    """

    def __init__(self, layers: Sequence[keras.layers.RNN | Recurrent], batch: int) -> None:
        self._layers = layers
        self._variables = [
            tree.map_structure(
                lambda value: keras.Variable(value, trainable=False, dtype="float32"),
                layer.get_initial_state(batch),
            )
            for layer in layers
        ]
        self.states = [
            state
            for name, variables in zip(name_layers(layers), self._variables, strict=True)
            for state in _name_states(name, variables)
        ]

    @contextlib.contextmanager
    def carry_state(self) -> Iterator[None]:
        """Inside the `with` block the layers carry their states, and models take any length."""
        before = [(layer.stateful, layer.states) for layer in self._layers]
        try:
            for layer, variables in zip(self._layers, self._variables, strict=True):
                _set_states(layer, True, variables)
            with patch_attributes([(FUNCTIONAL, "input_spec", None)]):
                yield
        finally:
            for layer, (stateful, states) in zip(self._layers, before, strict=True):
                _set_states(layer, stateful, states)


def _set_states(layer: keras.layers.RNN | Recurrent, stateful: bool, states: Any) -> None:
    # Without Keras's bookkeeping, which would count the states among the layer's weights.
    layer.__dict__.update(stateful=stateful, states=states)
