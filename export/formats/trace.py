"""Traces a signature as a TensorFlow graph, which every format is written from."""

from dataclasses import replace
from typing import Any

import tensorflow as tf

from keras_seq.errors import UserError
from keras_seq.layers.lowering import Lowering, use_lowering
from keras_seq.signature import Signature

# Operators that call back into Python, which no file can hold.
PYTHON_FUNCTIONS = ("PyFunc", "PyFuncStateless", "EagerPyFunc")

# How the token of a PyFunc begins that we place ourselves and take out again; see `onnx.rules`.
PLACEHOLDER = "keras_seq:"


def trace(signature: Signature, sizes: dict[str, int], lowering: Lowering | None = None) -> Any:
    """Returns a signature as a `tf.ConcreteFunction` that takes the inputs in their order.

    Args:
        signature: Signature to trace.
        sizes: Sizes of the dimensions that are to be fixed, by name.
        lowering: Rules for the layers; their own if None.

    Raises:
        ValueError: If the outputs are not those that the signature names.
        UserError: If the model calls a Python function.
    """

    def call(*inputs: Any) -> dict[str, Any]:
        names = [tensor.name for tensor in signature.inputs]
        outputs = signature.function(**dict(zip(names, inputs, strict=True)))
        expected = [tensor.name for tensor in signature.outputs]
        if sorted(outputs) != sorted(expected):
            raise ValueError(
                f"The signature {signature.name} names the outputs {expected}; its function "
                f"returned {sorted(outputs)}."
            )
        return outputs

    specs = [
        tf.TensorSpec(
            [size if isinstance(size, int) else None for size in tensor.shape],
            tensor.dtype,
            name=tensor.name,
        )
        for tensor in signature.bind(sizes).inputs
    ]
    with use_lowering(lowering or Lowering()):
        traced = tf.function(call, autograph=False).get_concrete_function(*specs)
    _refuse_python_functions(traced.graph)
    return traced


def freeze(signature: Signature) -> Signature:
    """Returns a signature whose function is traced: calling or tracing it runs no Python layer."""
    traced = trace(signature, {})
    names = [tensor.name for tensor in signature.inputs]

    def call(**inputs: Any) -> dict[str, Any]:
        return traced(*(inputs[name] for name in names))

    return replace(signature, function=call, traced=traced)


def _refuse_python_functions(graph: Any) -> None:
    definition = graph.as_graph_def()
    functions = (node for f in definition.library.function for node in f.node_def)
    for node in (*definition.node, *functions):
        token = node.attr["token"].s.decode() if node.op in PYTHON_FUNCTIONS else PLACEHOLDER
        if not token.startswith(PLACEHOLDER):
            # The name of a node is the names of its layers, from the outermost, and its own.
            layers = " in ".join(reversed(node.name.split("/")[:-1])) or node.name
            raise UserError(
                f"The model calls a Python function (tf.py_function or tf.numpy_function) in the "
                f"layer {layers}, and no file can hold Python code. Write the function with "
                "keras.ops, or leave it out of the model."
            )
