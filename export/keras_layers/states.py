"""The states of recurrent layers as inputs and outputs, where Keras keeps them in variables."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree
from keras.src.models import Functional

from export.keras_layers.replacing import replaced
from keras_seq.errors import UserError
from keras_seq.signature import TensorSpec
from keras_seq.typing import Tensor

# What looks at several steps at once, so that one step alone tells it too little.
WHOLE = (
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
)


@dataclass(frozen=True)
class Carried:
    """A state that a layer carries from call to call.

    Attributes:
        name: "state_", the layer's name and the state's number.
        variable: Where Keras keeps it, `(B, …)`.
    """

    name: str
    variable: keras.Variable

    @property
    def given(self) -> TensorSpec:
        """The state before a call."""
        return TensorSpec(self.name, "float32", tuple(self.variable.shape))

    @property
    def returned(self) -> TensorSpec:
        """The state after it."""
        return TensorSpec(f"next_{self.name}", "float32", tuple(self.variable.shape))


def recurrent_layers(model: keras.Model) -> list[keras.layers.RNN]:
    """The recurrent layers of a model, however deep."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.RNN)]


def carried(model: keras.Model) -> list[Carried]:
    """The states of the stateful layers of a model."""
    return [
        Carried(f"state_{layer.name}_{i}", variable)
        for layer in recurrent_layers(model)
        if layer.stateful and layer.states is not None
        for i, variable in enumerate(tree.flatten(layer.states))
    ]


def call_with_states(
    call: Callable[[], Any], states: Sequence[Carried], arguments: Mapping[str, Tensor]
) -> tuple[Any, dict[str, Tensor]]:
    """`call()` with the states of `arguments`: its outputs and the states after it."""
    if not states:
        return call(), {}
    mapping = [(state.variable, arguments[state.name]) for state in states]
    with keras.StatelessScope(mapping) as scope:
        outputs = call()
    return outputs, {s.returned.name: scope.get_current_value(s.variable) for s in states}


def streamed(model: keras.Model, batch: int) -> "Streamed":
    """A model to be called one step at a time, `batch` rows a call.

    Raises:
        UserError: If a layer looks at more than the steps that were.
    """
    layers = recurrent_layers(model)
    if not layers:
        raise UserError(
            f"The model {model.name!r} has no recurrent layer, so there is no state to carry from "
            "step to step. Export it without --stream."
        )
    for layer in model._flatten_layers():
        backwards = isinstance(layer, keras.layers.RNN) and layer.go_backwards
        wide = getattr(layer, "kernel_size", (1,)) if "Conv1D" in type(layer).__name__ else (1,)
        if isinstance(layer, WHOLE) or backwards or wide[0] > 1:
            raise UserError(
                f"The layer {layer.name!r} ({type(layer).__name__}) cannot be streamed: it "
                "looks at several steps at once, and a stream has one. Build the model from "
                "recurrent layers that read forwards, and layers that treat every step alike."
            )
    for layer in layers:
        if len(layer._inbound_nodes) > 1:
            raise UserError(
                f"The layer {layer.name!r} is used {len(layer._inbound_nodes)} times: each use "
                "would need a state of its own. Stream a model that uses it once."
            )
    return Streamed(layers, batch)


class Streamed:
    """Recurrent layers that keep their state, inside `with`; after it they are as they were.

    Attributes:
        states: What they carry.
    """

    def __init__(self, layers: Sequence[keras.layers.RNN], batch: int) -> None:
        self._layers = layers
        self._variables = [
            tree.map_structure(
                lambda value: keras.Variable(value, trainable=False, dtype="float32"),
                layer.get_initial_state(batch),
            )
            for layer in layers
        ]
        self.states = [
            Carried(f"state_{layer.name}_{i}", variable)
            for layer, variables in zip(layers, self._variables, strict=True)
            for i, variable in enumerate(tree.flatten(variables))
        ]

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """The layers keep their states inside the `with` block, and models take any length."""
        before = [(layer.stateful, layer.states) for layer in self._layers]
        try:
            for layer, variables in zip(self._layers, self._variables, strict=True):
                _set(layer, True, variables)
            with replaced([(Functional, "input_spec", None)]):
                yield
        finally:
            for layer, (stateful, states) in zip(self._layers, before, strict=True):
                _set(layer, stateful, states)


def _set(layer: keras.layers.RNN, stateful: bool, states: Any) -> None:
    # Past Keras's own bookkeeping, which would count the states among the layer's weights.
    layer.__dict__.update(stateful=stateful, states=states)
