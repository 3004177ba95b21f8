"""String inputs as bytes.

No runtime but TensorFlow has Keras's string operators. So a signature takes the UTF-8 bytes of a
text, and the layers that read it become arithmetic on integers; see `vectorization`.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from export.keras_layers.names import make_unique
from export.keras_layers.provenance import find_origin
from keras_seq.errors import UserError
from keras_seq.signature import TensorSpec
from keras_seq.text.utf8 import pack_texts, to_bytes, truncate
from keras_seq.typing import Tensor

DEFAULT_BYTES = 512

# The bytes and lengths behind the strings that `make_strings` makes, by graph and operator.
_sources: WeakKeyDictionary[Any, dict[str, tuple[Tensor, Tensor]]] = WeakKeyDictionary()


def name_texts(inputs: Sequence[TensorSpec]) -> dict[str, tuple[TensorSpec, TensorSpec]]:
    """Returns the bytes `(B, L)` and their number `(B,)` that stand for each string input.

    The first text's bytes are "L", those of another, NAME, "L_NAME": each is as long as it is.
    The number is NAME_length; a text beside an input of that name is NAME_text.
    """
    taken = {tensor.name for tensor in inputs}
    named: dict[str, tuple[TensorSpec, TensorSpec]] = {}
    for tensor in inputs:
        if tensor.dtype != "string":
            continue
        name = tensor.name
        if f"{name}_length" in taken:
            (name,) = make_unique([f"{name}_text"], taken)
        size, rows = "L" if not named else f"L_{name}", tensor.shape[0]
        named[tensor.name] = (
            TensorSpec(name, "uint8", (rows, size)),
            TensorSpec(f"{name}_length", "int32", (rows,)),
        )
        taken |= {name, f"{name}_length"}
    return named


def limits(inputs: Sequence[TensorSpec], max_bytes: int | None) -> dict[str, int]:
    """Returns the longest text in bytes, for each text that there is."""
    return {text.shape[1]: max_bytes or DEFAULT_BYTES for text, _ in name_texts(inputs).values()}


def split_texts(inputs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Returns the inputs with two tensors, bytes and their number, in the place of each text.

    Raises:
        UserError: If an input has more than one text a row.
    """
    for tensor in inputs:
        if tensor.dtype == "string" and tensor.shape[1:] not in ((), (1,)):
            raise UserError(
                f"The string input {tensor.name} has the shape {list(tensor.shape)}: only one text "
                "a row can be exported. Give the model an input for each."
            )
    texts = name_texts(inputs)
    return tuple(part for tensor in inputs for part in texts.get(tensor.name, (tensor,)))


def encode_inputs(
    inputs: Sequence[TensorSpec], arrays: Mapping[str, np.ndarray], sizes: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Encodes strings as bytes, cut to `sizes` between characters; casts other arrays."""
    encoded, names = {}, name_texts(inputs)
    for tensor in inputs:
        array = arrays[tensor.name]
        if tensor.dtype != "string":
            encoded[tensor.name] = array.astype(tensor.dtype)
            continue
        text, length = names[tensor.name]
        rows = [to_bytes(str(row)) for row in array.reshape(-1)]
        if (limit := sizes.get(text.shape[1])) is not None:
            rows = [truncate(row, limit) for row in rows]
        encoded[text.name], encoded[length.name] = pack_texts(rows)
    return encoded


def make_strings(
    inputs: Sequence[TensorSpec], arguments: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Returns the inputs of the model from those of the signature: strings made of their bytes.

    Keras itself reads the strings. Patched layers read the bytes, and the operators that make the
    strings fall away.
    """
    values, names = {}, name_texts(inputs)
    for tensor in inputs:
        if tensor.dtype != "string":
            values[tensor.name] = arguments[tensor.name]
            continue
        value, length = (arguments[part.name] for part in names[tensor.name])
        characters = tf.gather([bytes([i]) for i in range(256)], tf.cast(value, tf.int32))
        within = tf.sequence_mask(length, tf.shape(value)[1])
        joined = tf.strings.reduce_join(tf.where(within, characters, ""), axis=1)
        _sources.setdefault(joined.graph, {})[joined.op.name] = (value, length)
        values[tensor.name] = tf.reshape(joined, (-1, *tensor.shape[1:]))
    return values


def find_bytes(strings: Tensor) -> tuple[Tensor, Tensor] | None:
    """Returns the bytes and lengths that a string tensor was made of; None if it isn't ours."""
    source = find_origin(strings)
    if getattr(source, "op", None) is None:
        return None
    return _sources.get(source.graph, {}).get(source.op.name)
