"""How tf2onnx converts operators that it doesn't know, or that ONNX has a better form for."""

import json
from typing import Any

import numpy as np
from onnx import TensorProto

from export.formats.trace import PLACEHOLDER


def _replace_node(
    context: Any, node: Any, operator: str, inputs: list[str], **attributes: Any
) -> None:
    """Puts one ONNX node in the place of a TensorFlow node."""
    outputs = node.output[:]
    shapes = [context.get_shape(output) for output in outputs]
    dtypes = [context.get_dtype(output) for output in outputs]
    context.remove_node(node.name)
    context.make_node(
        operator,
        inputs,
        attr=attributes,
        outputs=outputs,
        shapes=shapes,
        dtypes=dtypes,
        name=node.name,
    )


def convert_placeholder(context: Any, node: Any, name: str, _: Any) -> None:
    """Puts the recurrent node in the place of the operator of `rules.place_recurrence`."""
    token = node.get_attr_value("token").decode()
    attributes = json.loads(token.removeprefix(PLACEHOLDER))
    operator = attributes.pop("operator")
    operands = iter(node.input)
    inputs = [next(operands) if name else "" for name in attributes.pop("inputs")]
    _replace_node(context, node, operator, inputs, **attributes)


def convert_erfc(context: Any, node: Any, name: str, _: Any) -> None:
    """erfc(x) = 1 - erf(x), for Keras's gelu; tf2onnx does not know it."""
    erf = context.make_node("Erf", node.input[:])
    one = context.make_const(f"{name}/one", np.ones((), "float32"))
    _replace_node(context, node, "Sub", [one.output[0], erf.output[0]])


def convert_expm1(context: Any, node: Any, name: str, _: Any) -> None:
    """expm1(x) = exp(x) - 1, which tf2onnx does not know."""
    power = context.make_node("Exp", node.input[:])
    one = context.make_const(f"{name}/one", np.ones((), "float32"))
    _replace_node(context, node, "Sub", [power.output[0], one.output[0]])


def convert_log1p(context: Any, node: Any, name: str, _: Any) -> None:
    """log1p(x) = log(1 + x), which tf2onnx knows as a pattern alone."""
    one = context.make_const(f"{name}/one", np.ones((), "float32"))
    total = context.make_node("Add", [node.input[0], one.output[0]])
    _replace_node(context, node, "Log", [total.output[0]])


def convert_floor_mod(context: Any, node: Any, name: str, _: Any) -> None:
    """The rest of a division, with the sign of the divisor. tf2onnx rounds integers to zero."""
    x, y = node.input
    if context.get_dtype(x) in INTEGERS:
        _replace_node(context, node, "Mod", [x, y])
        return
    quotient = context.make_node("Floor", context.make_node("Div", [x, y]).output)
    product = context.make_node("Mul", [quotient.output[0], y])
    _replace_node(context, node, "Sub", [x, product.output[0]])


def convert_floor_division(context: Any, node: Any, name: str, _: Any) -> None:
    """A division rounded down. tf2onnx rounds integers to zero."""
    x, y = node.input
    if context.get_dtype(x) not in INTEGERS:
        quotient = context.make_node("Div", [x, y])
        _replace_node(context, node, "Floor", quotient.output)
        return
    rest = context.make_node("Mod", [x, y])
    multiple = context.make_node("Sub", [x, rest.output[0]])
    _replace_node(context, node, "Div", [multiple.output[0], y])


def refuse_node(context: Any, node: Any, name: str, _: Any) -> None:
    """Refuses an operator of which tf2onnx makes others that compute something else."""
    raise ValueError(f"{node.type} is not what ONNX makes of it.")


def convert_slice_update(context: Any, node: Any, name: str, _: Any) -> None:
    """Concatenates the part before a slice, the slice, and the part after it.

    For updates by `keras.ops.slice_update` that replace a part of one axis and all of the others.
    """
    whole, update, start = node.input
    # The slice moves along one axis: on any other it begins at a constant and spans everything.
    begins = node.inputs[2].inputs if node.inputs[2].type == "Concat" else [node.inputs[2]]
    moving = [axis for axis, begin in enumerate(begins) if not _is_constant(begin)]
    if not moving:  # A constant place, on the axis where the update is smaller.
        sizes = zip(context.get_shape(whole), context.get_shape(update), strict=True)
        moving = [axis for axis, (size, part) in enumerate(sizes) if size != part][:1] or [0]
    if len(moving) != 1:
        raise ValueError(f"{name} does not update a part of one axis that moves: {moving}")
    axis = moving[0]

    def constant(label: str, value: int) -> str:
        return context.make_const(f"{name}/{label}", np.array([value], "int64")).output[0]

    def make(operator: str, *inputs: str, **attributes: Any) -> str:
        return context.make_node(operator, list(inputs), attr=attributes).output[0]

    axes = constant("axis", axis)
    first = make("Gather", make("Cast", start, to=TensorProto.INT64), axes)
    last = make("Add", first, make("Gather", make("Shape", update), axes))
    before = make("Slice", whole, constant("zero", 0), first, axes)
    after = make("Slice", whole, last, constant("end", np.iinfo("int64").max), axes)
    _replace_node(context, node, "Concat", [before, update, after], axis=axis)


def convert_select(context: Any, node: Any, name: str, _: Any) -> None:
    """One operator; tf2onnx's own conversion is six, and makes a NaN of infinity."""
    _replace_node(context, node, "Where", node.input[:])


def convert_comparison(context: Any, node: Any, name: str, _: Any) -> None:
    """Compares integers as integers. tf2onnx's own conversion makes floats of them, which are all
    the same from 2^24 on.
    """
    for name in node.input:
        if context.get_dtype(name) in (TensorProto.INT32, TensorProto.INT64):
            # Where it is a size, tf2onnx has made another integer of it than it says here.
            context.insert_new_node_on_input(node, "Cast", name, to=TensorProto.INT64)


def _is_constant(node: Any) -> bool:
    """Whether the values of a node are known already."""
    while node.type in ("Unsqueeze", "Cast", "Identity", "Reshape"):
        node = node.inputs[0]
    return node.is_const()


INTEGERS = (TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64)

HANDLERS = {
    "FloorDiv": (convert_floor_division, []),
    "FloorMod": (convert_floor_mod, []),
    "CTCGreedyDecoder": (refuse_node, []),
    "PyFunc": (convert_placeholder, []),
    "Erfc": (convert_erfc, []),
    "Expm1": (convert_expm1, []),
    "Log1p": (convert_log1p, []),
    "SelectV2": (convert_select, []),
    "Less": (convert_comparison, []),
    "Greater": (convert_comparison, []),
    "XlaDynamicUpdateSlice": (convert_slice_update, []),
}
