"""Finds which input of a traced function a tensor came from."""

from typing import Any

# Operators whose output holds values of their first input and no others.
VALUE_PRESERVING_OPS = (
    "Cast",
    "ExpandDims",
    "Identity",
    "Reshape",
    "Squeeze",
    "StridedSlice",
    "Transpose",
)


def find_origin(tensor: Any) -> Any:
    """Returns the tensor that `tensor` is a cast, slice or reshape of; itself if it is none."""
    while getattr(tensor, "op", None) is not None and tensor.op.type in VALUE_PRESERVING_OPS:
        tensor = tensor.op.inputs[0]
    return tensor
