"""Signatures on strings, for a format that has them.

Servers of SavedModels expect strings. So `classify_text`, on bytes and their number, comes with
`classify_string`, which takes the bytes out of a string and is the same from there on. It needs
TensorFlow's own operators only, not tensorflow-text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from keras_seq.signature import Signature, SignatureSpec, TensorSpec
from keras_seq.text.utf8 import unpack_array
from keras_seq.typing import Arrays


def to_strings(signature: Any) -> Any:
    """Returns the signature, or its spec, with strings in the place of its texts."""
    texts = signature.texts
    inputs = tuple(
        _to_string(tensor) if tensor.name in texts else tensor
        for tensor in signature.inputs
        if tensor.name not in texts.values()
    )
    name = f"{signature.name.removesuffix('_text')}_string"
    if not isinstance(signature, Signature):
        return replace(signature, name=name, inputs=inputs)

    def function(**tensors: Any) -> dict[str, Any]:
        import tensorflow as tf

        for text, length in texts.items():
            strings = tensors[text]
            tensors[length] = tf.strings.length(strings)
            widest = tf.maximum(tf.reduce_max(tensors[length]), 1)
            tensors[text] = tf.io.decode_raw(strings, tf.uint8, fixed_length=widest)
        return signature.function(**tensors)

    return replace(signature, name=name, inputs=inputs, function=function)


def _to_string(text: TensorSpec) -> TensorSpec:
    default = None if text.default is None else ""
    return TensorSpec(text.name, "string", text.shape[:1], default=default)


def add_strings(signatures: Sequence[Any]) -> list[Any]:
    """Returns the signatures, or specs, and those on strings for those on texts."""
    return [*signatures, *(to_strings(s) for s in signatures if s.texts)]


def add_string_arrays(
    specs: Sequence[SignatureSpec], inputs: Mapping[str, Arrays], outputs: Mapping[str, Arrays]
) -> tuple[dict[str, Arrays], dict[str, Arrays]]:
    """Returns inputs and outputs by signature, those of signatures on strings included."""
    inputs, outputs = dict(inputs), dict(outputs)
    for spec in specs:
        if not spec.texts:
            continue
        arrays = dict(inputs[spec.name])
        for text, length in spec.texts.items():
            arrays[text] = unpack_array(arrays[text], arrays.pop(length))
        name = to_strings(spec).name
        inputs[name], outputs[name] = arrays, outputs[spec.name]
    return inputs, outputs
