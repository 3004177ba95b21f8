"""Joins the inputs of several requests into one call, and splits its outputs."""

from collections.abc import Hashable, Sequence

import numpy as np

from keras_seq.signature import SignatureSpec
from keras_seq.typing import Arrays


def count_rows(spec: SignatureSpec, arrays: Arrays) -> int:
    """Returns the rows of a request; 1 where the signature has no batch."""
    return next((len(arrays[t.name]) for t in spec.inputs if "B" in t.shape), 1)


def make_key(spec: SignatureSpec, arrays: Arrays) -> Hashable:
    """Returns a key that is equal for requests that may be one call.

    They have the same shapes, except for texts, which are padded, and the same values of inputs
    without rows.
    """
    parts: list[Hashable] = []
    for tensor in spec.inputs:
        array = arrays[tensor.name]
        if "B" not in tensor.shape:
            parts.append((array.shape, array.tobytes()))
        elif tensor.name not in spec.texts:
            parts.append(array.shape[1:])
    return tuple(parts)


def measure_width(spec: SignatureSpec, arrays: Arrays) -> int:
    """Returns the padded bytes of each row's texts; 0 where there are none."""
    rows = (t.name for t in spec.inputs if t.name in spec.texts and "B" in t.shape)
    return sum(arrays[name].shape[1] for name in rows)


def collate(spec: SignatureSpec, requests: Sequence[Arrays]) -> Arrays:
    """Returns the inputs of all requests, one after another."""
    if len(requests) == 1:
        return requests[0]
    collated = {}
    for tensor in spec.inputs:
        arrays = [request[tensor.name] for request in requests]
        if "B" not in tensor.shape:
            collated[tensor.name] = arrays[0]
            continue
        if tensor.name in spec.texts:
            width = max(array.shape[1] for array in arrays)
            arrays = [np.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in arrays]
        collated[tensor.name] = np.concatenate(arrays)
    return collated


def slice_rows(spec: SignatureSpec, arrays: Arrays, start: int, stop: int) -> Arrays:
    """Returns some rows of the inputs of a request."""
    rows = {tensor.name for tensor in spec.inputs if "B" in tensor.shape}
    return {n: array[start:stop] if n in rows else array for n, array in arrays.items()}


def join(spec: SignatureSpec, parts: Sequence[Arrays]) -> Arrays:
    """Returns the outputs of all parts of a request, one below another.

    Where parts differ in width, as texts do, each is padded with zeros to the widest.
    """
    if len(parts) == 1:
        return parts[0]
    return {
        tensor.name: _stack([part[tensor.name] for part in parts])
        if "B" in tensor.shape
        else parts[0][tensor.name]
        for tensor in spec.outputs
    }


def _stack(arrays: Sequence[np.ndarray]) -> np.ndarray:
    widest = np.max([array.shape[1:] for array in arrays], axis=0, initial=0)
    rows = sum(len(array) for array in arrays)
    stacked = np.zeros((rows, *map(int, widest)), arrays[0].dtype)
    end = 0
    for array in arrays:
        place = (slice(end, end + len(array)), *map(slice, array.shape[1:]))
        stacked[place] = array
        end += len(array)
    return stacked


def split(spec: SignatureSpec, outputs: Arrays, rows: Sequence[int]) -> list[Arrays]:
    """Returns the outputs of each request; `rows` is the number of rows of each."""
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
