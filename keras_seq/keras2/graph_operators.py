"""Operators that TensorFlow 2.0 to 2.3 wrote into Functional models, as nodes of a graph."""

import inspect
from typing import Any

from keras_seq.errors import UserError


def read_graph_operator(old: Any, node: Any) -> tuple[str, dict[str, Any]]:
    """Returns the name in `tf` and the arguments of the operator of a `TensorFlowOpLayer`.

    Raises:
        UserError: If TensorFlow has no such operator.
    """
    import tensorflow as tf

    definition = old.node_def
    function = getattr(tf.raw_ops, definition.op, None)
    if function is None:
        raise UserError(
            f"The layer {old.name!r} is the operator {definition.op}, which TensorFlow does not "
            "have now. Build the model without it."
        )
    inputs = tf.nest.flatten(node.call_args)
    for place, constant in sorted(old.constants.items()):
        inputs.insert(place, constant)
    names = list(inspect.signature(function).parameters)
    return f"raw_ops.{definition.op}", _name_arguments(definition, names, inputs)


def _name_arguments(definition: Any, names: list[str], inputs: list[Any]) -> dict[str, Any]:
    from tensorflow.python.framework import op_def_registry

    arguments: dict[str, Any] = {}
    schema = op_def_registry.get(definition.op)
    place = 0
    # Some inputs are called otherwise in Python, in the same order.
    attributes = {attribute.name for attribute in schema.attr}
    in_python = [name for name in names if name not in attributes and name != "name"]
    for argument, name in zip(schema.input_arg, in_python, strict=True):
        if argument.number_attr:
            count = definition.attr[argument.number_attr].i
            arguments[name] = inputs[place : place + count]
            place += count
        else:
            arguments[name] = inputs[place]
            place += 1
    for attribute in schema.attr:
        if attribute.name in names and attribute.name in definition.attr:
            arguments[attribute.name] = _read(definition.attr[attribute.name])
    return arguments


def _read(value: Any) -> Any:
    """Returns the value of an attribute of a node."""
    import tensorflow as tf

    kind = value.WhichOneof("value")
    if kind == "s":
        return value.s.decode("utf-8")
    if kind == "type":
        return tf.as_dtype(value.type)
    if kind == "shape":
        return [dimension.size for dimension in value.shape.dim]
    if kind == "list":
        return [*value.list.i, *value.list.f, *(part.decode("utf-8") for part in value.list.s)]
    return getattr(value, kind)
