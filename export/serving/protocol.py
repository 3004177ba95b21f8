"""Reads requests of the Open Inference Protocol, of HTTP and of gRPC, and checks all of them.

Nothing is converted that is not what it should be: a number of another kind, a shape that does not
fit to the values or an unknown word is the caller's error, and the message names its place.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import orjson

from export.serving.errors import SizeError
from keras_seq.errors import UserError, describe

EXAMPLE = (
    '{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["A fine film."]}]}'
)
# A value of JSON takes about 100 bytes as it is read, and reading stops everything else: a million
# take some 60 ms.
MAX_JSON_VALUES = 1_000_000
JSON_VALUE_BYTES = 100
MAX_DIMENSIONS = 8

DTYPES = {"FP32": "float32", "INT32": "int32", "UINT8": "uint8"}
CONTENTS = {  # of a message of gRPC
    "FP32": "fp32_contents",
    "INT32": "int_contents",
    "UINT8": "uint_contents",
    "BYTES": "bytes_contents",
}
KINDS = {"FP32": {int, float}, "INT32": {int}, "UINT8": {int}, "BYTES": {str}}
NAMES = {
    "FP32": "a number",
    "INT32": "a whole number",
    "UINT8": "a whole number",
    "BYTES": "a string",
}


@dataclass(frozen=True)
class Tensor:
    """An input as it was received.

    Attributes:
        name: Its name.
        datatype: Its datatype by the protocol's name.
        shape: Its sizes.
        read: Returns its values, an array of `shape`; of BYTES, a list of bytes.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    read: Callable[[], Any]


@dataclass(frozen=True)
class InferRequest:
    """A request for inference.

    Attributes:
        inputs: The inputs.
        id: Its id, which the answer repeats.
        parameters: Its parameters.
        outputs: The wanted outputs, and whether each is wanted as raw bytes; None for all.
        is_binary: Whether outputs are wanted as raw bytes where nothing else is said.
    """

    inputs: Sequence[Tensor]
    id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, bool] | None = None
    is_binary: bool = False


def refuse(problem: str) -> UserError:
    """Returns the error of a request that cannot be read."""
    return UserError(
        f"This isn't a request of the Open Inference Protocol: {problem}. Send such as {EXAMPLE}. "
        "In JSON, BYTES are UTF-8; as binary data they may be any."
    )


def count_json_values(body: bytes) -> int:
    """Returns about how many values a JSON text has, at least.

    Raises:
        SizeError: If they are too many to be read.
    """
    count = body.count(b",") + body.count(b"[") + body.count(b"{") + body.count(b":")
    if count > MAX_JSON_VALUES:
        raise SizeError(
            f"The JSON of a request has at most {MAX_JSON_VALUES:,} values. Received: about "
            f"{count:,}. Send fewer rows at once, or the tensors as binary data."
        )
    return count


def read_json_request(body: bytes, json_length: int | None = None) -> InferRequest:
    """Returns the request of an HTTP body.

    Args:
        body: The body: JSON, and behind it the bytes of binary tensors.
        json_length: Number of bytes of the JSON; None for all.

    Raises:
        UserError: If it isn't a request of the protocol.
        SizeError: If it has too many values.
    """
    if json_length is not None and not 0 <= json_length <= len(body):
        raise refuse(
            f"its JSON has {json_length:,} bytes by Inference-Header-Content-Length, and its body "
            f"{len(body):,}"
        )
    end = len(body) if json_length is None else json_length
    count_json_values(body[:end])
    try:
        request = orjson.loads(body[:end])
    except orjson.JSONDecodeError as error:
        raise refuse(f"its JSON cannot be read: {error}") from None
    if not isinstance(request, dict):
        raise refuse("it is not an object")
    tensors = request.get("inputs")
    if not isinstance(tensors, list):
        raise refuse('it has no list "inputs"')
    raw = memoryview(body)[end:]
    inputs = []
    for i, tensor in enumerate(tensors):
        found, raw = _read_json_tensor(tensor, f"inputs[{i}]", raw)
        inputs.append(found)
    if len(raw):
        raise refuse(f"{len(raw):,} bytes behind its JSON belong to no input")
    parameters = _read_parameters(request, "the request")
    is_binary = _read_flag(parameters, "binary_data_output")
    outputs = _read_outputs(request.get("outputs"), is_binary)
    return InferRequest(inputs, _read_id(request.get("id")), parameters, outputs, is_binary)


def _read_id(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise refuse(f'"id" is not a string, but {describe(value)}')
    return value or ""


def _read_parameters(owner: Mapping[str, Any], place: str) -> dict[str, Any]:
    parameters = owner.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise refuse(f'the "parameters" of {place} are not an object, but {describe(parameters)}')
    return parameters


def _read_flag(parameters: Mapping[str, Any], name: str) -> bool:
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        raise refuse(f'the parameter "{name}" is true or false, not {describe(value)}')
    return value


def _read_outputs(outputs: Any, is_binary: bool) -> dict[str, bool] | None:
    if outputs is None:
        return None
    if not isinstance(outputs, list):
        raise refuse(f'"outputs" is not a list, but {describe(outputs)}')
    wanted = {}
    for i, output in enumerate(outputs):
        place = f"outputs[{i}]"
        name = _get(output, place, "name", str, "a string")
        parameters = {"binary_data": is_binary, **_read_parameters(output, place)}
        wanted[name] = _read_flag(parameters, "binary_data")
    return wanted or None


def _get(owner: Any, place: str, name: str, kind: type, word: str) -> Any:
    if not isinstance(owner, dict):
        raise refuse(f"{place} is not an object, but {describe(owner)}")
    if name not in owner:
        raise refuse(f'{place} has no "{name}", {word}')
    if not isinstance(owner[name], kind):
        raise refuse(f'{place} has "{name}" that is not {word}, but {describe(owner[name])}')
    return owner[name]


def _read_json_tensor(tensor: Any, place: str, raw: memoryview) -> tuple[Tensor, memoryview]:
    """Returns an input, and the bytes of those behind it."""
    name = _get(tensor, place, "name", str, "a string")
    datatype = _get(tensor, place, "datatype", str, "a string")
    shape = read_shape(_get(tensor, place, "shape", list, "a list"), name)
    size = _read_parameters(tensor, place).get("binary_data_size")
    if size is None:
        data = _get(tensor, place, "data", list, "a list")
        return Tensor(name, datatype, shape, lambda: read_values(name, datatype, shape, data)), raw
    if "data" in tensor:
        raise refuse(f'{place} has both "data" and "binary_data_size"')
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(raw):
        raise refuse(
            f'{place} has the "binary_data_size" {describe(size)}, and {len(raw):,} bytes are left '
            "behind the JSON"
        )
    content = raw[:size]
    return Tensor(name, datatype, shape, lambda: read_raw(name, datatype, shape, content)), raw[
        size:
    ]


def read_shape(shape: Sequence[Any], name: str) -> tuple[int, ...]:
    """Returns the sizes of a tensor.

    Raises:
        UserError: If they are not whole numbers, 0 or more.
    """
    good = all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape)
    if not good or len(shape) > MAX_DIMENSIONS or math.prod(shape) >= 2**63:
        raise UserError(
            f"The shape of {name} is a list of whole numbers, 0 or more, at most {MAX_DIMENSIONS} "
            f"of them. Received: {describe(list(shape))}"
        )
    return tuple(shape)


def read_values(name: str, datatype: str, shape: tuple[int, ...], data: list[Any]) -> Any:
    """Returns the values of a JSON list, nested or flat.

    Raises:
        UserError: If one is not of the datatype, or they are not as many as the shape has.
    """
    for size in shape[1:]:
        if not (data and all(isinstance(value, list) for value in data)):
            break
        if any(len(value) != size for value in data):
            raise UserError(
                f"{name} has the shape {list(shape)}, and its data are lists of other lengths: "
                f"{describe(data)}"
            )
        data = list(chain.from_iterable(data))
    _require_count(name, datatype, shape, len(data))
    allowed = KINDS.get(datatype, set())
    if not {*map(type, data)} <= allowed:
        place = next(i for i, value in enumerate(data) if type(value) not in allowed)
        value = data[place]
        raise UserError(
            f"{name} has the datatype {datatype}. Value {place} is not {NAMES[datatype]}, but "
            f"{describe(value)}."
        )
    if datatype == "BYTES":
        return [_encode(name, i, value) for i, value in enumerate(data)]
    return _to_array(name, datatype, data).reshape(shape)


def _encode(name: str, place: int, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{name}: value {place} is not a text: {error}") from None


def _to_array(name: str, datatype: str, data: Sequence[Any]) -> np.ndarray:
    if datatype == "FP32":
        try:
            wide = np.array(data, "float64")
        except OverflowError:
            wide = np.array([np.inf])
        with np.errstate(over="ignore"):
            array = wide.astype("float32")
        if not np.isfinite(array).all():
            raise UserError(f"{name} has values that are not finite numbers of 32 bits.")
        return array
    bounds = np.iinfo(DTYPES[datatype])
    lowest, highest = (min(data), max(data)) if len(data) else (0, 0)
    if not bounds.min <= lowest <= highest <= bounds.max:
        raise UserError(
            f"{name} has the datatype {datatype}, from {bounds.min:,} to {bounds.max:,}. Received: "
            f"{lowest if lowest < bounds.min else highest}"
        )
    return np.array(data, DTYPES[datatype])


def read_raw(name: str, datatype: str, shape: tuple[int, ...], content: Any) -> Any:
    """Returns the values of raw bytes: little-endian numbers, or texts behind their lengths.

    Raises:
        UserError: If they are not as many as the shape has.
    """
    if datatype == "BYTES":
        texts = _split_texts(name, content)
        _require_count(name, datatype, shape, len(texts))
        return texts
    dtype = np.dtype(DTYPES[datatype]).newbyteorder("<")
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise UserError(
            f"{name} does not hold {datatype} of the shape {list(shape)}: that are "
            f"{math.prod(shape) * dtype.itemsize:,} bytes. Received: {len(content):,}"
        )
    array = np.frombuffer(content, dtype).reshape(shape)
    if datatype == "FP32" and not np.isfinite(array).all():
        raise UserError(f"{name} has values that are not finite.")
    return array


def _split_texts(name: str, content: Any) -> list[bytes]:
    texts, place = [], 0
    while place < len(content):
        end = place + 4
        if end <= len(content):
            (length,) = struct.unpack_from("<I", content, place)
            end += length
        if end > len(content):
            raise UserError(
                f"{name}: text {len(texts)} ends behind the last of its {len(content):,} bytes. "
                "Each text is its length, in 4 bytes, and its bytes."
            )
        texts.append(bytes(content[place + 4 : end]))
        place = end
    return texts


def _require_count(name: str, datatype: str, shape: tuple[int, ...], count: int) -> None:
    if math.prod(shape) != count:
        raise UserError(
            f"{name} does not hold {datatype} of the shape {list(shape)}, whose product is the "
            f"number of values. Received: {count:,} values"
        )


def read_message(message: Any) -> InferRequest:
    """Returns the request of a `ModelInferRequest` of gRPC.

    Raises:
        UserError: If it isn't one of the protocol.
    """
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise refuse(f"it has {len(message.inputs)} inputs and {len(raw)} raw_input_contents")
    inputs = []
    for i, tensor in enumerate(message.inputs):
        name, datatype = tensor.name, tensor.datatype
        shape = read_shape(list(tensor.shape), name)
        if raw and tensor.HasField("contents"):
            raise refuse(f"inputs[{i}] has both contents and raw_input_contents")
        if raw:
            read = _bind(read_raw, name, datatype, shape, raw[i])
        else:
            read = _bind(_read_contents, name, datatype, shape, tensor.contents)
        inputs.append(Tensor(name, datatype, shape, read))
    outputs = {output.name: True for output in message.outputs} or None
    return InferRequest(
        inputs, message.id, read_message_parameters(message.parameters), outputs, is_binary=True
    )


def _bind(read: Callable[..., Any], *values: Any) -> Callable[[], Any]:
    return lambda: read(*values)


def _read_contents(name: str, datatype: str, shape: tuple[int, ...], contents: Any) -> Any:
    wanted = CONTENTS[datatype]
    for given, _ in contents.ListFields():
        if given.name != wanted:
            raise refuse(f"{name} has the datatype {datatype}, and its values in {given.name}")
    values = getattr(contents, wanted)
    _require_count(name, datatype, shape, len(values))
    if datatype == "BYTES":
        return list(values)
    wide = "float64" if datatype == "FP32" else "int64"
    return _to_array(name, datatype, np.fromiter(values, wide, len(values))).reshape(shape)


def read_message_parameters(parameters: Any) -> dict[str, Any]:
    """Returns the parameters of a gRPC message by name."""
    found = {}
    for name, value in parameters.items():
        kind = value.WhichOneof("parameter_choice")
        found[name] = getattr(value, kind) if kind else None
    return found
