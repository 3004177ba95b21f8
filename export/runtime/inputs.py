"""Turns what a caller gives into the arrays of a signature, and checks them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_seq.checking import describe_unknown
from keras_seq.errors import ArgumentError, UserError, describe
from keras_seq.signature import DIMENSIONS, SignatureSpec, TensorSpec
from keras_seq.text.utf8 import list_texts, pack_texts, to_bytes, truncate, truncate_left
from keras_seq.typing import Arrays
from keras_seq.uniforms import random_uniforms

SMALL = 1e-3  # A bound below it stands for "not 0".


def name_inputs(
    spec: SignatureSpec, values: Sequence[Any], inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the inputs by name; those given without a name get theirs, in the order of `spec`.

    Lengths of texts, states and inputs with a default always have a name.

    Raises:
        UserError: If there are more than the signature takes, one is given twice, or there is none
            of a name.
    """
    if len(values) == 1 and isinstance(values[0], Mapping):
        values, inputs = (), {**values[0], **inputs}
    # An input that is None is left out, where it may be.
    inputs = {n: v for n, v in inputs.items() if v is not None or n not in _optional(spec)}
    returned = {tensor.name for tensor in spec.outputs} - spec.texts.keys()
    named = {*spec.texts.values(), *returned, *(name.removeprefix("next_") for name in returned)}
    names = [t.name for t in spec.inputs if t.name not in named and t.default is None]
    if (
        len(values) == 1
        and isinstance(values[0], (list, tuple))
        and len(values[0]) == len(names) > 1
    ):
        values = values[0]
    if len(values) > len(names):
        raise UserError(
            f"{spec.name} takes {', '.join(names) or 'nothing'} without a name; name the other "
            f"inputs: {', '.join(f'{t.name}=…' for t in spec.inputs)}. Received: {len(values)} "
            "without names"
        )
    twice = [name for name in names[: len(values)] if name in inputs]
    if twice:
        raise UserError(f"{spec.name}: {twice[0]} is given twice, with a name and without.")
    known = {tensor.name for tensor in spec.inputs}
    for name in inputs:
        if name not in known:
            raise ArgumentError(f"{spec.name}: {_describe_unknown(name, list_names(spec))}")
    return {**dict(zip(names, values, strict=False)), **inputs}


def _optional(spec: SignatureSpec) -> set[str]:
    return {tensor.name for tensor in spec.inputs if tensor.default is not None}


def find_states(spec: SignatureSpec) -> list[TensorSpec]:
    """Returns the inputs that carry a state from call to call: `NAME`, where `next_NAME` is given
    back.
    """
    returned = {tensor.name for tensor in spec.outputs}
    return [tensor for tensor in spec.inputs if f"next_{tensor.name}" in returned]


def _describe_unknown(name: str, known: Sequence[str]) -> str:
    if name in DIMENSIONS.values():
        return f"{name} is fixed in the files: it is chosen when they are exported."
    return describe_unknown(name, known, "input")


def list_names(spec: SignatureSpec) -> list[str]:
    """Returns the inputs as a caller in Python gives them: texts bring their lengths along, and a
    seed makes random numbers.
    """
    lengths = spec.texts.values()
    names = ("seed" if t.default == "random" else t.name for t in spec.inputs)
    return [name for name in names if name not in lengths]


def require_inputs(spec: SignatureSpec, inputs: Mapping[str, Any]) -> None:
    """Raises ArgumentError if an input is missing that has no default."""
    known = {*spec.texts.values(), *_optional(spec), *(t.name for t in _begun(spec))}
    required = {tensor.name for tensor in spec.inputs} - known
    if not required <= inputs.keys():
        raise ArgumentError(
            f"{spec.name} takes {', '.join(list_names(spec))}. Received: "
            f"{', '.join(inputs) or 'nothing'}"
        )


def _begun(spec: SignatureSpec) -> list[TensorSpec]:
    """Returns the states that begin with zeros where they are left out: those of a fixed size."""
    return [t for t in find_states(spec) if all(isinstance(size, int) for size in t.shape)]


def encode_texts(
    spec: SignatureSpec, inputs: Mapping[str, Any], limits: Mapping[str, int]
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Encodes lists of strings as UTF-8 bytes and lengths, cut to `limits`.

    Returns:
        `(inputs, unread)`: how many bytes of each row's texts were cut off, `(B,)`; None where all
        texts were bytes already.

    Raises:
        UserError: If a text is not a list of texts, or texts that all rows share, such as stop
            texts, are too many or too long: these are not cut.
    """
    encoded, unread = dict(inputs), None
    tensors = {tensor.name: tensor for tensor in spec.inputs}
    for name, length in spec.texts.items():
        if name not in encoded or length in encoded:
            continue
        rows = [to_bytes(text) for text in list_texts(encoded[name], f"{spec.name}: {name}")]
        if "B" not in tensors[name].shape:
            encoded[name], encoded[length] = _pack_shared(spec.name, tensors[name], rows, limits)
            continue
        cut = truncate_left if tensors[name].truncation_side == "left" else truncate
        limit = limits.get(tensors[name].shape[1])
        read = rows if limit is None else [cut(row, limit) for row in rows]
        rest = [len(row) - len(part) for row, part in zip(rows, read, strict=True)]
        unread = np.array(rest, "int32") + (0 if unread is None else unread)
        encoded[name], encoded[length] = pack_texts(read)
    return encoded, unread


def _pack_shared(
    signature: str, tensor: TensorSpec, rows: Sequence[bytes], limits: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    count, size = (limits.get(letter, np.inf) for letter in tensor.shape)
    longest = max(map(len, rows), default=0)
    if len(rows) > count or longest > size:
        raise UserError(
            f"{signature}: {tensor.name} is at most {count} texts of at most {size} bytes each. "
            f"Received: {len(rows)}, the longest of {longest} bytes"
        )
    return pack_texts(rows or [b""])


def fill_defaults(
    spec: SignatureSpec, inputs: Mapping[str, Any], limits: Mapping[str, int], seed: int | None
) -> dict[str, Any]:
    """Adds the defaults of inputs that were left out.

    Raises:
        UserError: If `seed` is not a whole number, or nothing is random.
    """
    filled = dict(inputs)
    missing = [t for t in spec.inputs if t.default is not None and t.name not in filled]
    for tensor in _begun(spec):
        filled.setdefault(tensor.name, np.zeros(tensor.shape, tensor.dtype))
    for tensor in missing:
        if tensor.default != "random":
            value = limits.get(tensor.default, tensor.default)
            dtype = object if tensor.dtype == "string" else tensor.dtype
            filled[tensor.name] = np.full([1] * len(tensor.shape), value, dtype)
    random = [tensor for tensor in missing if tensor.default == "random"]
    if seed is not None and not any(tensor.default == "random" for tensor in spec.inputs):
        raise UserError(f"{spec.name} draws no random numbers. Leave out: seed={seed!r}")
    if random and seed is not None and not (isinstance(seed, (int, np.integer)) and seed >= 0):
        raise UserError(f"seed is a whole number, 0 or more. Received: {seed!r}")
    for tensor in random:
        rows = next((len(filled[t.name]) for t in spec.inputs if "B" in t.shape), 1)
        filled[tensor.name] = random_uniforms(rows, limits[tensor.shape[1]], seed)
    return filled


def to_array(tensor: TensorSpec, value: Any) -> np.ndarray:
    """Returns a value as an array of the tensor's dtype and rank.

    Raises:
        UserError: If it cannot be one.
    """
    if tensor.dtype == "string":
        return np.array([to_bytes(text) for text in list_texts(value, tensor.name)], object)
    array = _read_array(tensor, value)
    kinds = "iub" if np.dtype(tensor.dtype).kind in "iu" else "iubf"
    if array.dtype.kind not in kinds and array.size:
        raise _refuse(tensor, array if array.ndim else value)
    if array.ndim != len(tensor.shape):
        raise UserError(
            f"{tensor.name} has {len(tensor.shape)} dimensions {list(tensor.shape)}. Received: "
            f"{list(array.shape)}"
        )
    if array.dtype.kind in "iu" and array.size and np.dtype(tensor.dtype).kind in "iu":
        bounds = np.iinfo(tensor.dtype)
        if not bounds.min <= array.min() <= array.max() <= bounds.max:
            raise UserError(
                f"{tensor.name} is {tensor.dtype}, from {bounds.min} to {bounds.max}. Received: "
                f"{array.min()} to {array.max()}"
            )
    return array.astype(tensor.dtype)


def _read_array(tensor: TensorSpec, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:  # of rows that differ in length
        raise _refuse(tensor, value) from error


def _refuse(tensor: TensorSpec, value: Any) -> ArgumentError:
    wanted = f"{tensor.dtype} {list(tensor.shape)}" if tensor.shape else f"a number, {tensor.dtype}"
    return ArgumentError(f"{tensor.name} is {wanted}. Received: {describe(value)}")


def check_values(spec: SignatureSpec, arrays: Arrays, dimensions: Mapping[str, int]) -> None:
    """Refuses lengths and values outside the ranges that the signature declares.

    Raises:
        UserError: Naming the input.
    """
    for text, name in spec.texts.items():
        lengths, size = arrays[name], arrays[text].shape[1]
        if lengths.size and not 0 <= lengths.min() <= lengths.max() <= size:
            raise UserError(
                f"{spec.name}: {name} is the number of bytes of each text, 0 to the {size} that "
                f"are given. Received: {lengths.min()} to {lengths.max()}"
            )
    for tensor in spec.inputs:
        _check_range(spec.name, tensor, arrays[tensor.name], dimensions)


def _check_range(
    signature: str, tensor: TensorSpec, array: np.ndarray, dimensions: Mapping[str, int]
) -> None:
    if tensor.minimum is None and tensor.maximum is None:
        return
    minimum = -np.inf if tensor.minimum is None else tensor.minimum
    maximum = np.inf if tensor.maximum is None else tensor.maximum
    if isinstance(maximum, str):
        maximum = dimensions.get(maximum, np.inf)
    # Written so that a NaN is outside.
    inside = array.size == 0 or (
        array.min() >= minimum and array.max() <= maximum and array.max() < np.inf
    )
    if not inside:
        allowed = _name_range(minimum, maximum)
        if isinstance(tensor.maximum, str):
            allowed += f", the size {name_dimension(tensor.maximum)}"
        if not array.max() < np.inf:
            allowed = f"a finite number, {allowed}"
        received = f"{array.min():,}" + (f" to {array.max():,}" if array.size > 1 else "")
        raise UserError(f"{signature}: {tensor.name} is {allowed}. Received: {received}")


def _name_range(minimum: float, maximum: float) -> str:
    if 0 < minimum < SMALL:
        return "above 0" + (f", at most {maximum:,}" if maximum < np.inf else "")
    return f"{minimum:,} or more" if maximum == np.inf else f"from {minimum:,} to {maximum:,}"


def name_dimension(letter: str) -> str:
    """Returns a dimension as users read it: "T (max_length)"."""
    return f"{letter} ({DIMENSIONS[letter]})" if letter in DIMENSIONS else letter
