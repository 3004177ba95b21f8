"""Writes answers of the Open Inference Protocol, large ones piece by piece."""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson

from export.serving.protocol import InferRequest
from export.serving.wire import write_outputs
from keras_seq.errors import UserError
from keras_seq.signature import SignatureSpec
from keras_seq.typing import Arrays

# A piece has so many values: it is written in some milliseconds.
PIECE_VALUES = 32_768
PIECE_BYTES = 262_144


@dataclass(frozen=True)
class Output:
    """An output as it is sent.

    Attributes:
        name: Its name.
        datatype: Its datatype by the protocol's name.
        array: Its values; of BYTES, an array of bytes.
        labels: Names of the classes where its last dimension is that of the classes.
        is_binary: Whether HTTP sends it as raw bytes.
    """

    name: str
    datatype: str
    array: np.ndarray
    labels: Sequence[str]
    is_binary: bool

    def describe(self) -> dict[str, Any]:
        """Returns everything but the values, as JSON has it."""
        described: dict[str, Any] = {
            "name": self.name,
            "shape": list(self.array.shape),
            "datatype": self.datatype,
        }
        parameters: dict[str, Any] = write_labels(self.labels)
        if self.is_binary:
            parameters["binary_data_size"] = self.count_raw_bytes()
        return {**described, "parameters": parameters} if parameters else described

    def count_raw_bytes(self) -> int:
        """Returns the number of bytes of the values as raw bytes."""
        if self.datatype == "BYTES":
            return sum(4 + len(text) for text in self.array.ravel())
        return self.array.nbytes

    def write_raw(self) -> Iterator[bytes]:
        """Yields the values as raw bytes, in pieces."""
        if self.datatype == "BYTES":
            for text in self.array.ravel():
                yield struct.pack("<I", len(text)) + text
            return
        content = memoryview(np.ascontiguousarray(self.array).reshape(-1).view("uint8"))
        for start in range(0, len(content), PIECE_BYTES):
            yield bytes(content[start : start + PIECE_BYTES])

    def write_json(self) -> Iterator[bytes]:
        """Yields the values as the elements of a flat JSON list, in pieces."""
        values = self.array.reshape(-1)
        step = PIECE_VALUES if self.datatype != "BYTES" else 256
        for start in range(0, len(values), step):
            part: Any = values[start : start + step]
            if self.datatype == "BYTES":
                part = [text.decode("utf-8", "replace") for text in part]
            else:
                part = np.ascontiguousarray(part)
            written = orjson.dumps(part, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
            yield b"," + written if start else written


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Attributes:
        model: Name of the model.
        id: Id of the request.
        outputs: The outputs that were asked for.
    """

    model: str
    id: str
    outputs: Sequence[Output]

    @property
    def is_large(self) -> bool:
        """Whether it takes long to write."""
        return sum(output.array.size for output in self.outputs) > PIECE_VALUES or any(
            output.datatype == "BYTES" and output.count_raw_bytes() > PIECE_BYTES
            for output in self.outputs
        )

    @property
    def is_binary(self) -> bool:
        """Whether HTTP sends raw bytes behind the JSON."""
        return any(output.is_binary for output in self.outputs)

    def write_http(self) -> tuple[int | None, Iterator[bytes]]:
        """Returns the number of bytes of the JSON, None where there is nothing else, and all pieces
        of a body.
        """
        if not self.is_binary:
            return None, self._write_json()
        head = b"".join(self._write_json())
        raw = (piece for output in self.outputs if output.is_binary for piece in output.write_raw())
        return len(head), chain([head], raw)

    def _write_json(self) -> Iterator[bytes]:
        head = {"id": self.id, "model_name": self.model, "model_version": None}
        yield orjson.dumps(head)[:-1] + b',"outputs":['
        for i, output in enumerate(self.outputs):
            described = orjson.dumps(output.describe())
            if output.is_binary:
                yield (b"," if i else b"") + described
                continue
            yield (b"," if i else b"") + described[:-1] + b',"data":['
            yield from output.write_json()
            yield b"]}"
        yield b"]}"


def write_labels(labels: Sequence[str]) -> dict[str, str]:
    """Returns the names of the classes as a parameter: by the protocol that is no list."""
    return {"labels": json.dumps(list(labels), ensure_ascii=False)} if labels else {}


def select_outputs(
    spec: SignatureSpec, outputs: Arrays, request: InferRequest, labels: Sequence[str]
) -> list[Output]:
    """Returns the outputs that a request asks for; see `require_outputs`."""
    written = write_outputs(spec, outputs)
    wanted = request.outputs or dict.fromkeys(written, request.is_binary)
    selected = []
    for name, is_binary in wanted.items():
        datatype, array = written[name]
        is_of_classes = array.ndim == 2 and array.shape[1] == len(labels)
        selected.append(Output(name, datatype, array, labels if is_of_classes else (), is_binary))
    return selected


def require_outputs(spec: SignatureSpec, names: Sequence[str], request: InferRequest) -> None:
    """Raises UserError if a request asks for an output that there is not."""
    for name in request.outputs or ():
        if name not in names:
            raise UserError(f"{spec.name} gives {', '.join(names)}. Received: {name!r}")
