"""Makes a Keras 3 model of a `tf_keras` model, call by call."""

import contextlib
import inspect
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import tree

from keras_seq.errors import UserError
from keras_seq.keras2 import layers
from keras_seq.keras2.graph_operators import read_graph_operator
from keras_seq.keras2.operators import OPERATORS, Operator, describe

# Layers whose further input tensors are states, and constants after them.
TAKES_STATES = ("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN",
                "SimpleRNN")  # fmt: skip


def convert_model(old: Any, custom_objects: dict[str, Any] | None = None) -> keras.Model:
    """Returns a Keras 3 model with the layers, the names and the weights of a `tf_keras` model.

    Raises:
        UserError: If Keras 3 has no layer for one of them, or the model is of a class of its own.
    """
    with keras.saving.custom_object_scope(custom_objects or {}), _without_warnings():
        converter = _Converter()
        new = converter.convert(old)
        for before, after in converter.pairs:
            layers.copy_weights(before, after)
        return new


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Hides what Keras 3 remarks on masks that end at a layer: they did so in Keras 2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Converter:
    """Keeps the Keras 3 layer of each layer: one that is called twice is one layer.

    Attributes:
        pairs: Layers without layers inside, old and new, whose weights are to be copied.
    """

    def __init__(self) -> None:
        self._layers: dict[int, Any] = {}
        self.pairs: list[tuple[Any, Any]] = []

    def convert(self, old: Any) -> Any:
        """Returns the Keras 3 layer, or model, of a `tf_keras` one."""
        import tf_keras

        if id(old) not in self._layers:
            if isinstance(old, tf_keras.Model):
                self._layers[id(old)] = self._convert_model(old)
            else:
                self._layers[id(old)] = self._convert_layer(old)
        return self._layers[id(old)]

    def _convert_layer(self, old: Any) -> Any:
        name = type(old).__name__
        inner: list[tuple[Any, Any]] = []
        if name == "Bidirectional":
            # It copies the layers that it is given.
            new = layers.make_layer(old, lambda part: layers.make_layer(part, self._convert_cell))
            inner = [
                (old.forward_layer, new.forward_layer),
                (old.backward_layer, new.backward_layer),
            ]
        else:
            new = layers.make_layer(old, self.convert)
            if name == "TimeDistributed":
                return new
            inner = [(old, new)]
        self.pairs += inner
        return new

    def _convert_cell(self, old: Any) -> Any:
        return layers.make_layer(old, self._convert_cell)

    def _convert_model(self, old: Any) -> keras.Model:
        import tf_keras

        if isinstance(old, tf_keras.Sequential):
            return self._convert_sequential(old)
        if not getattr(old, "_is_graph_network", False):
            raise UserError(
                f"The model {old.name!r} is of the class {type(old).__name__}, whose layers are "
                "called by its own code. Write the class for Keras 3, and load the weights into "
                "it: --import FILE:FUNCTION --weights FILE"
            )
        return self._convert_functional(old)

    def _convert_sequential(self, old: Any) -> keras.Sequential:
        first = [_make_input(old.inputs[0])] if old.inputs else []
        parts = [self.convert(layer) for layer in old.layers]
        return keras.Sequential([*first, *parts], name=_to_name(old.name), trainable=old.trainable)

    def _convert_functional(self, old: Any) -> keras.Model:
        import tensorflow as tf

        tensors = {id(t): _make_input(t) for t in tf.nest.flatten(old._nested_inputs)}
        for depth in sorted(old._nodes_by_depth, reverse=True):
            for node in old._nodes_by_depth[depth]:
                if not node.is_input:
                    self._call(node, tensors)

        def find(tensor: Any) -> Any:
            return tensors[id(tensor)]

        inputs, outputs = (_map(find, part) for part in (old._nested_inputs, old._nested_outputs))
        _rename_operations(tree.flatten(outputs))
        return keras.Model(inputs, outputs, name=_to_name(old.name), trainable=old.trainable)

    def _call(self, node: Any, tensors: dict[int, Any]) -> None:
        """Repeats a call of a layer, and notes the tensors that come of it."""
        import tensorflow as tf

        new_outputs = tree.flatten(self._repeat(node, tensors))
        old_outputs = tf.nest.flatten(node.outputs)
        if len(new_outputs) != len(old_outputs):
            raise UserError(
                f"The layer {node.layer.name!r} ({type(node.layer).__name__}) returns "
                f"{len(old_outputs)} tensors in Keras 2 and {len(new_outputs)} in Keras 3. Please "
                "report this with the model's configuration."
            )
        tensors |= {id(o): n for o, n in zip(old_outputs, new_outputs, strict=True)}

    def _repeat(self, node: Any, tensors: dict[int, Any]) -> Any:
        old = node.layer
        name = type(old).__name__
        if name in OPERATORS:
            return _make_operator(node, old.symbol, node.call_args, node.call_kwargs, tensors)
        if name == "TensorFlowOpLayer":
            symbol, keywords = read_graph_operator(old, node)
            return _make_operator(node, symbol, (), keywords, tensors)
        new = self.convert(old)

        def find(value: Any) -> Any:
            return tensors.get(id(value), value)

        args = [_map(find, value) for value in node.call_args]
        kwargs = {
            key: _map(find, value) for key, value in node.call_kwargs.items() if value is not None
        }
        if name in TAKES_STATES and args and isinstance(args[0], list):
            args[0], kwargs["initial_state"] = _split_states(old, args[0])
            # Beside states Keras 3 forgets the mask that comes with a sequence.
            kwargs.setdefault("mask", getattr(args[0], "_keras_mask", None))
        if getattr(old, "causal", False):  # an argument of the layer until TensorFlow 2.9
            kwargs["use_causal_mask"] = True
        return new(*args, **_keep_accepted(new, kwargs))


def _keep_accepted(layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Leaves out a `training` that the layer in Keras 3 has no use for."""
    parameters = inspect.signature(layer.call).parameters
    if "training" in parameters or "kwargs" in parameters:
        return kwargs
    return {key: value for key, value in kwargs.items() if key != "training"}


def _split_states(old: Any, tensors: list[Any]) -> tuple[Any, list[Any]]:
    """Returns the input and the initial states in the list that a recurrent layer was called with.

    Raises:
        UserError: If there are constants, which Keras 3 does not have.
    """
    if getattr(old, "_num_constants", 0):
        raise UserError(
            f"The layer {old.name!r} takes constants, which the recurrent layers of Keras 3 do not "
            "have. Give them as part of each step's input."
        )
    return tensors[0], tensors[1:]


def _make_input(tensor: Any) -> Any:
    """Returns an input of the shape, the dtype and the name of one of Keras 2."""
    if type(tensor).__name__ != "KerasTensor":
        raise UserError(
            f"The input {tensor.node.layer.name!r} is sparse or ragged. Models of dense tensors "
            "can be converted."
        )
    layer = getattr(tensor, "node", None) and tensor.node.layer
    return keras.Input(
        batch_shape=tuple(tensor.shape),
        dtype=tensor.dtype.name,
        name=_to_name(layer.name if layer is not None else tensor.name),
    )


def _make_operator(
    node: Any, symbol: str, args: Sequence[Any], kwargs: dict[str, Any], tensors: dict[int, Any]
) -> Any:
    """Calls an operator of TensorFlow, as a layer of ours."""
    import tensorflow as tf

    inputs: list[Any] = []

    def index(value: Any) -> int | None:
        if id(value) not in tensors:
            return None
        inputs.append(tensors[id(value)])
        return len(inputs) - 1

    arguments = {
        "positional": [describe(_map(lambda value: value, value), index) for value in args],
        "keyword": {
            key: describe(_map(lambda value: value, value), index)
            for key, value in kwargs.items()
            if key != "name"
        },
    }
    outputs = [[list(t.shape), t.dtype.name] for t in tf.nest.flatten(node.outputs)]
    operator = Operator(
        symbol,
        arguments,
        outputs,
        is_nested=tf.nest.is_nested(node.outputs),
        name=_to_name(node.layer.name),
    )
    return operator(inputs)


def _map(function: Any, value: Any) -> Any:
    """Returns `value` with `function` of each leaf, in Python's own lists and dictionaries."""
    if isinstance(value, dict):
        return {key: _map(function, part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [_map(function, part) for part in value]
        return tuple(parts) if type(value) is tuple else parts
    return function(value)


def _to_name(name: str) -> str:
    return name.replace("/", "_")


def _rename_operations(outputs: list[Any]) -> None:
    """Gives operations names of their own, where Keras chose one that a layer has.

    Keras 3 computes the mask of a `Concatenate` by the operation `concatenate`.
    """
    operations: dict[int, Any] = {}
    waiting = [tensor._keras_history for tensor in outputs]
    while waiting:
        operation, node_index, _ = waiting.pop()
        if id(operation) not in operations:
            operations[id(operation)] = operation
        node = operation._inbound_nodes[node_index]
        if id(node) not in operations:
            operations[id(node)] = None
            waiting += [tensor._keras_history for tensor in node.input_tensors]
    found = [operation for operation in operations.values() if operation is not None]
    names = {op.name for op in found if isinstance(op, keras.layers.Layer)}
    for operation in found:
        if not isinstance(operation, keras.layers.Layer):
            while operation.name in names:
                operation.name += "_mask"
            names.add(operation.name)
