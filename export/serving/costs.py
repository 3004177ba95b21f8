"""What a request will cost in memory, known from its signature before it runs."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_seq.signature import SignatureSpec, TensorSpec
from keras_seq.typing import Arrays

# What a runtime needs while it runs, beside inputs and outputs, as a multiple of them. Measured:
# see `benchmarks/torture.py`.
WORKSPACE = 4
TEXT_BYTES = 64  # of a string, beside its bytes
OPEN_SIZE = 1024  # of a dimension that nothing tells


def count_answer_bytes(
    spec: SignatureSpec, arrays: Arrays, limits: Mapping[str, int], max_batch: int
) -> int:
    """Returns the bytes that the answer to a request takes: its outputs, and a call for some rows.

    Args:
        spec: Signature of the request.
        arrays: Its inputs.
        limits: Largest sizes of dimensions, by their letters.
        max_batch: Largest number of rows of a call.
    """
    sizes = measure_sizes(spec, arrays)
    outputs = sum(count_bytes(tensor, sizes, limits) for tensor in spec.outputs)
    rows = max(sizes.get("B", 1), 1)
    inputs = sum(array.nbytes for array in arrays.values())
    together = min(rows, max_batch)
    call = WORKSPACE * (outputs + inputs) * together // rows
    joined = outputs if rows > max_batch else 0
    return outputs + joined + call


def count_packed_bytes(
    spec: SignatureSpec, inputs: Mapping[str, Any], limits: Mapping[str, int]
) -> int:
    """Returns the bytes of a request's inputs as arrays: texts are padded to the longest."""
    total = 0
    for tensor in spec.inputs:
        value = inputs.get(tensor.name)
        if isinstance(value, np.ndarray):
            total += value.nbytes
        elif isinstance(value, list):
            longest = max(map(len, value), default=0)
            total += len(value) * (min(longest, limits.get(tensor.shape[-1], longest)) + TEXT_BYTES)
    return total


def measure_sizes(spec: SignatureSpec, arrays: Arrays) -> dict[str, int]:
    """Returns the size of each named dimension of a request's inputs."""
    sizes: dict[str, int] = {}
    for tensor in spec.inputs:
        for name, size in zip(tensor.shape, np.shape(arrays[tensor.name]), strict=True):
            if isinstance(name, str):
                sizes[name] = max(size, sizes.get(name, 0))
    return sizes


def count_bytes(tensor: TensorSpec, sizes: Mapping[str, int], limits: Mapping[str, int]) -> int:
    """Returns the largest number of bytes of an output."""
    longest = max((size for name, size in sizes.items() if name != "B"), default=OPEN_SIZE)

    def measure(size: int | str) -> int:
        if isinstance(size, int):
            return size
        return sizes.get(size, limits.get(size, longest))

    width = TEXT_BYTES if tensor.dtype == "string" else np.dtype(tensor.dtype).itemsize
    return width * math.prod(map(measure, tensor.shape))
