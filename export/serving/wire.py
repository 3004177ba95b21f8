"""Converts tensors of the Open Inference Protocol to those of a signature, and back.

A text is one BYTES value on the wire, and a row of uint8 with a length in the graph. A scalar has
the shape [1] on the wire, since some clients know no other.
"""

from typing import Any

import numpy as np

from export.serving.errors import SizeError
from export.serving.protocol import InferRequest, Tensor
from keras_seq.errors import UserError
from keras_seq.signature import SignatureSpec, TensorSpec, text_lengths
from keras_seq.text.utf8 import to_bytes, unpack_array
from keras_seq.typing import Arrays

DATATYPES = {"float32": "FP32", "int32": "INT32", "uint8": "UINT8", "string": "BYTES"}


def describe_tensors(tensors: tuple[TensorSpec, ...]) -> list[dict[str, Any]]:
    """Returns inputs or outputs as in the metadata of a model; open sizes are -1."""
    texts = text_lengths(tensors)
    described = []
    for tensor in tensors:
        if tensor.name in texts.values():
            continue
        shape = tensor.shape[:-1] if tensor.name in texts else tensor.shape or (1,)
        described.append(
            {
                "name": tensor.name,
                "datatype": "BYTES" if tensor.name in texts else DATATYPES[tensor.dtype],
                "shape": [size if isinstance(size, int) else -1 for size in shape],
            }
        )
    return described


def read_inputs(spec: SignatureSpec, request: InferRequest, max_rows: int) -> dict[str, Any]:
    """Returns the inputs of a request, as `LoadedBundle.prepare` takes them.

    Args:
        spec: Signature that the request is for.
        request: The request.
        max_rows: Largest number of rows.

    Raises:
        UserError: If the signature has no such tensor, or a tensor is not what it takes.
        SizeError: If there are too many rows.
    """
    known = {tensor.name: tensor for tensor in spec.inputs}
    values: dict[str, Any] = {}
    for received in request.inputs:
        if received.name not in known:
            names = ", ".join(tensor["name"] for tensor in describe_tensors(spec.inputs))
            raise UserError(f"{spec.name} takes {names}. Received: {received.name!r}")
        if received.name in values:
            raise UserError(f"{spec.name}: {received.name} is given twice.")
        tensor = known[received.name]
        if "B" in tensor.shape and received.shape[:1] > (max_rows,):
            raise SizeError(
                f"A request has at most {max_rows:,} rows (--max-rows). Received: "
                f"{received.shape[0]:,}. Send them in several requests."
            )
        values[received.name] = _read_input(spec, tensor, received)
    return values


def _read_input(spec: SignatureSpec, tensor: TensorSpec, received: Tensor) -> Any:
    is_text = received.datatype == "BYTES" and tensor.name in spec.texts
    wanted = "BYTES" if is_text or tensor.dtype == "string" else DATATYPES[tensor.dtype]
    if received.datatype != wanted:
        also = "BYTES, or " if tensor.name in spec.texts else ""
        raise UserError(
            f"{spec.name}: {tensor.name} has the datatype {also}{wanted}. Received: "
            f"{received.datatype[:40]}"
        )
    if wanted == "BYTES":
        is_column = received.shape[1:] in ((), (1,)) and received.shape  # of a table
        if not is_column:
            raise UserError(
                f"{spec.name}: {tensor.name} has the shape [B], a text for each row. Received: "
                f"{list(received.shape)}"
            )
        return received.read()
    array = received.read()
    return array.reshape(()) if not tensor.shape and array.size == 1 else array


def write_outputs(spec: SignatureSpec, outputs: Arrays) -> dict[str, tuple[str, np.ndarray]]:
    """Returns datatype and value of each output on the wire, by name."""
    texts = text_lengths(spec.outputs)
    written = {}
    for tensor in spec.outputs:
        if tensor.name in texts.values():
            continue
        array = outputs[tensor.name]
        if tensor.name in texts:
            written[tensor.name] = ("BYTES", unpack_array(array, outputs[texts[tensor.name]]))
        else:
            array = _to_bytes(array) if tensor.dtype == "string" else array
            written[tensor.name] = (DATATYPES[tensor.dtype], array if array.ndim else array[None])
    return written


def _to_bytes(strings: np.ndarray) -> np.ndarray:
    """Returns strings, as a runtime gives them, as an array of bytes."""
    return np.frompyfunc(to_bytes, 1, 1)(strings)
