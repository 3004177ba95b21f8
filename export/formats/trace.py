"""Traces a signature as a TensorFlow graph, which every format is written from."""

from dataclasses import replace
from typing import Any

import tensorflow as tf

from export.formats.layers import describe_layer, keep_scopes, record_scopes
from export.formats.refusals import find_nodes, refuse_nodes
from keras_seq.errors import UserError
from keras_seq.layers.lowering import Lowering, use_lowering
from keras_seq.signature import Signature

# Operators that call back into Python, which no file can hold.
PYTHON_FUNCTIONS = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
# Operators that change a variable, and that draw random numbers.
ASSIGNMENTS = r"Assign\w*VariableOp|ResourceScatter\w+|ResourceStridedSliceAssign"
RANDOM = r"(Stateless)?(Parameterized|Truncated)?(Random|Multinomial)(?!GetKey|GetAlg)\w*"

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
        UserError: If the model calls a Python function, changes a variable or draws random numbers.
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
    with use_lowering(lowering or Lowering()), record_scopes() as scopes:
        try:
            traced = tf.function(call, autograph=False).get_concrete_function(*specs)
        except Exception as error:
            layer = scopes.describe(scopes.failed or "")
            if isinstance(error, UserError) or not layer:
                raise
            reason = str(error).strip().split("\n")[0][:300]
            raise UserError(
                f"{layer[0].upper()}{layer[1:]} cannot be exported: traced with the shapes "
                f"{', '.join(map(str, specs))} it raises {type(error).__name__}: {reason}"
            ) from error
    keep_scopes(traced.graph, scopes)
    _refuse_python_functions(traced)
    refuse_nodes(traced, ASSIGNMENTS, _explain_assignment)
    refuse_nodes(traced, RANDOM, _explain_random_numbers)
    return traced


def freeze(signature: Signature) -> Signature:
    """Returns a signature whose function is traced: calling or tracing it runs no Python layer."""
    traced = trace(signature, {})
    names = [tensor.name for tensor in signature.inputs]

    def call(**inputs: Any) -> dict[str, Any]:
        return traced(*(inputs[name] for name in names))

    return replace(signature, function=call, traced=traced)


def _refuse_python_functions(traced: Any) -> None:
    for node in find_nodes(traced):
        token = node.attr["token"].s.decode() if node.op in PYTHON_FUNCTIONS else PLACEHOLDER
        if not token.startswith(PLACEHOLDER):
            layer = describe_layer(traced.graph, node.name) or f"the operator {node.name}"
            raise UserError(
                "The model calls a Python function (tf.py_function or tf.numpy_function) in "
                f"{layer}, and no file can hold Python code. Write the function with keras.ops, or "
                "leave it out of the model."
            )


def _explain_assignment(layer: str, operator: str) -> str:
    return (
        f"{layer} cannot be exported: it changes a variable at every call, and a file keeps no "
        "state between calls. Make the state an input and an output of the model."
    )


def _explain_random_numbers(layer: str, operator: str) -> str:
    return (
        f"{layer} cannot be exported: it draws random numbers in inference, so no two answers are "
        "the same. Draw them only where training is True, or make them an input of the model."
    )
