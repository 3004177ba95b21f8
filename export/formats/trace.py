"""Traces a signature as a TensorFlow function, which every format is written from."""

from typing import Any

import tensorflow as tf

from keras_seq.signature import Signature


def function(signature: Signature) -> Any:
    """Returns the signature's function to be traced; it takes the inputs in their order.

    Raises:
        ValueError: While tracing, if the outputs are not those that the signature names.
    """

    def call(*inputs: Any) -> dict[str, Any]:
        names = [tensor.name for tensor in signature.inputs]
        outputs = signature.function(**dict(zip(names, inputs, strict=True)))
        expected = [tensor.name for tensor in signature.outputs]
        if sorted(outputs) != sorted(expected):
            raise ValueError(
                f"The signature {signature.name} names the outputs {expected}; its function "
                f"returned {sorted(outputs)}."
            )
        return outputs

    return tf.function(call, autograph=False)


def specs(signature: Signature, sizes: dict[str, int]) -> list[Any]:
    """Returns a `tf.TensorSpec` of each input, with the dimensions in `sizes` fixed."""
    return [
        tf.TensorSpec(
            [size if isinstance(size, int) else None for size in tensor.shape],
            tensor.dtype,
            name=tensor.name,
        )
        for tensor in signature.bind(sizes).inputs
    ]
