"""Refuses loops whose outputs tf2onnx would put in another order."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from export.formats.layers import describe_layer
from keras_seq.errors import UserError


def refuse_unordered_writes(traced: Any) -> None:
    """Refuses a loop that writes a TensorArray in another order than from its first place on.

    tf2onnx stacks what the turns of a loop write, in their order, wherever they write it.

    Raises:
        UserError: Naming the layer.
    """
    definition = traced.graph.as_graph_def()
    bodies = {function.signature.name: function for function in definition.library.function}
    for nodes in (definition.node, *(function.node_def for function in bodies.values())):
        for node in nodes:
            if node.op not in ("While", "StatelessWhile"):
                continue
            body = bodies[node.attr["body"].func.name]
            for write in body.node_def:
                if write.op == "TensorListSetItem" and not _is_ordered(nodes, node, body, write):
                    layer = describe_layer(traced.graph, write.name) or "the model"
                    raise UserError(
                        f"{layer[0].upper()}{layer[1:]} cannot be exported to ONNX: a loop in it "
                        "writes a TensorArray in another order than from the first place to the "
                        "last. Write it so and turn it round with keras.ops.flip, or export to the "
                        "other formats only (--format)."
                    )


def _is_ordered(nodes: Sequence[Any], loop: Any, body: Any, write: Any) -> bool:
    """Whether the place of a write is an argument of the loop's body that begins with zero."""
    inside = {node.name: node for node in body.node_def}
    place = _owner(write.input[1])
    while place in inside and inside[place].op in ("Identity", "Cast"):
        place = _owner(inside[place].input[0])
    arguments = [argument.name for argument in body.signature.input_arg]
    if place not in arguments:
        return False
    first = _owner(loop.input[arguments.index(place)])
    start = next((node for node in nodes if node.name == first), None)
    if start is None:  # It comes from outside; nothing is known of it.
        return True
    return start.op == "Const" and not tf.make_ndarray(start.attr["value"].tensor).any()


def _owner(name: str) -> str:
    """Returns the node of a tensor's name."""
    return name.lstrip("^").split(":")[0]
