"""Inputs of several requests as those of one call, and its outputs as theirs."""

from collections.abc import Hashable, Sequence

import numpy as np

from keras_seq.signature import SignatureSpec
from keras_seq.typing import Arrays


def rows_of(spec: SignatureSpec, arrays: Arrays) -> int:
    """Rows of a request; 1 where the signature has no batch."""
    return next((len(arrays[t.name]) for t in spec.inputs if "B" in t.shape), 1)


def key_of(spec: SignatureSpec, arrays: Arrays) -> Hashable:
    """Equal for requests that may be one call: the same shapes, texts apart, which are padded; and
    the same values of what has no rows.
    """
    parts: list[Hashable] = []
    for tensor in spec.inputs:
        array = arrays[tensor.name]
        if "B" not in tensor.shape:
            parts.append((array.shape, array.tobytes()))
        elif tensor.name not in spec.texts:
            parts.append(array.shape[1:])
    return tuple(parts)


def width_of(spec: SignatureSpec, arrays: Arrays) -> int:
    """Bytes that each text of a request takes, the others of a call being padded to it; 0 where it
    has no texts.
    """
    return sum(arrays[name].shape[1] for name in spec.texts)


def joined(spec: SignatureSpec, requests: Sequence[Arrays]) -> Arrays:
    """The inputs of all, one after another."""
    if len(requests) == 1:
        return requests[0]
    found = {}
    for tensor in spec.inputs:
        arrays = [request[tensor.name] for request in requests]
        if "B" not in tensor.shape:
            found[tensor.name] = arrays[0]
            continue
        if tensor.name in spec.texts:
            width = max(array.shape[1] for array in arrays)
            arrays = [np.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in arrays]
        found[tensor.name] = np.concatenate(arrays)
    return found


def parted(spec: SignatureSpec, outputs: Arrays, rows: Sequence[int]) -> list[Arrays]:
    """The outputs of each request, of so many rows each."""
    if len(rows) == 1:
        return [outputs]
    ends = np.cumsum(rows)
    parts = {
        tensor.name: np.split(outputs[tensor.name], ends[:-1])
        if "B" in tensor.shape
        else [outputs[tensor.name]] * len(rows)
        for tensor in spec.outputs
    }
    return [{name: part[i] for name, part in parts.items()} for i in range(len(rows))]
