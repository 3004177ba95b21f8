"""Which input of a traced function a tensor came from."""

from typing import Any

# Operators whose output holds values of their first input and no others.
MOVES = ("Cast", "ExpandDims", "Identity", "Reshape", "Squeeze", "StridedSlice", "Transpose")


def origin(tensor: Any) -> Any:
    """The tensor that `tensor` is a cast, slice or other shape of; itself if it is none."""
    while getattr(tensor, "op", None) is not None and tensor.op.type in MOVES:
        tensor = tensor.op.inputs[0]
    return tensor
